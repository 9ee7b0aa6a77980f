// The official encoder, at the other end of a pipe (bench/official.py).
//
//     node encode.js BLOB SHARDS PRIMARY SECONDARY
//
// BLOB is a file, PRIMARY and SECONDARY are the bytes of a sliver in BCS. For each line of standard input the whole blob
// is encoded anew, and its id is printed in hex. As in the official SDK, each encoding makes buffers of its own.

const { readFileSync } = require("node:fs");
const { createInterface } = require("node:readline");
const { BlobEncoder } = require("@mysten/walrus-wasm");

const [file, ...numbers] = process.argv.slice(2);
const [shards, primary, secondary] = numbers.map(Number);
const blob = new Uint8Array(readFileSync(file));
const encoder = new BlobEncoder(shards);
const buffers = (size) => Array.from({ length: shards }, () => new Uint8Array(size));

createInterface({ input: process.stdin }).on("line", () => {
  const [metadata] = encoder.encode(blob, buffers(primary), buffers(secondary));
  console.log(Buffer.from(metadata.blob_id).toString("hex"));
});
