"""The client side of Walrus: storage nodes, committee, store, read, HTTP gateway and command line."""
