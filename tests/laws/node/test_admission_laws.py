"""Laws of the queue in front of a node's memory: bounds hold, nobody starves, nothing idles, clients get the same."""

from collections import defaultdict, deque

from hypothesis import given
from hypothesis import strategies as st

from walrus_node.rpc import rules
from walrus_node.rpc.rules import QUANTUM, Admission, Lane, LaneLimits, Pace, TicketState

MIB = 1 << 20
CLIENTS = ["alice", "bob", "carol", "dave"]
LIMITS = {lane: LaneLimits(capacity=16 * MIB, queue=12, wait_s=30) for lane in Lane}

sizes = st.one_of(st.integers(1, 64 * 1024), st.integers(1, 20 * MIB))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.sampled_from(list(Lane)), st.sampled_from(CLIENTS), sizes),
        st.tuples(st.just("leave"), st.integers(0, 200)),
        st.tuples(st.just("wait"), st.floats(0, 20)),
    ),
    max_size=80,
)


class Ledger:
    """The dumb twin: keeps every ticket, adds everything up anew, and looks at each law."""

    def __init__(self, limits=LIMITS):
        self.limits = limits
        self.admission = Admission(limits)
        self.tickets = []
        self.now = 0.0

    def offer(self, lane, client, size):
        ticket, changed = self.admission.offer(lane, client, size, now=self.now)
        self.tickets.append(ticket)
        self.check()
        return ticket, changed

    def leave(self, ticket):
        changed = self.admission.leave(ticket)
        self.check()
        return changed

    def wait(self, seconds):
        self.now += seconds
        self.admission.expire(now=self.now)
        assert all(ticket.deadline > self.now for ticket in self.having(TicketState.WAITING))
        self.check()

    def having(self, state, lane=None):
        return [ticket for ticket in self.tickets if ticket.state is state and lane in (None, ticket.lane)]

    def check(self):
        users_wait = bool(self.having(TicketState.WAITING, Lane.WRITE) + self.having(TicketState.WAITING, Lane.READ))
        for lane in Lane:
            limits = self.limits[lane]
            holding, waiting = self.having(TicketState.ADMITTED, lane), self.having(TicketState.WAITING, lane)
            used = sum(ticket.size for ticket in holding)
            assert self.admission.used(lane) == used
            assert self.admission.waiting(lane) == len(waiting) <= limits.queue
            assert used <= limits.capacity or len(holding) == 1
            capacity = limits.capacity
            if lane is Lane.BACKGROUND and users_wait:
                capacity //= rules.HELD_BACK
            self.check_nothing_idles(waiting, holding, used, capacity, limits)

    def check_nothing_idles(self, waiting, holding, used, capacity, limits):
        """Somebody's oldest ticket may only wait because there is no room, or because its client has its share."""
        if not waiting:
            return
        held, first = defaultdict(int), {}
        for ticket in holding:
            held[ticket.client] += ticket.size
        for ticket in waiting:
            first.setdefault(ticket.client, ticket.size)
        free_to_go = [
            size
            for client, size in first.items()
            if held[client] == 0 or held[client] + size <= rules.SHARE * limits.capacity
        ]
        assert not free_to_go or (holding and used + max(free_to_go) > capacity)


@given(steps)
def test_the_bounds_hold_nothing_idles_and_everybody_is_served_in_the_end(program):
    ledger = Ledger()
    for step in program:
        match step:
            case ("offer", lane, client, size):
                ledger.offer(lane, client, size)
            case ("leave", number):
                alive = ledger.having(TicketState.WAITING) + ledger.having(TicketState.ADMITTED)
                if alive:
                    ledger.leave(alive[number % len(alive)])
            case ("wait", seconds):
                ledger.wait(seconds)
    # From now on each ends some time: then all that wait are admitted, within one step for each ticket.
    for _ in range(len(ledger.tickets)):
        if holding := ledger.having(TicketState.ADMITTED):
            ledger.leave(holding[0])
    assert not ledger.having(TicketState.WAITING)
    assert not ledger.having(TicketState.ADMITTED)
    assert all(ledger.admission.used(lane) == 0 for lane in Lane)


@given(st.lists(st.tuples(st.sampled_from(CLIENTS), st.integers(1, 4 * MIB)), min_size=1, max_size=60))
def test_each_client_is_served_in_the_order_of_its_own_requests(requests):
    ledger = Ledger({lane: LaneLimits(capacity=5 * MIB, queue=100, wait_s=30) for lane in Lane})
    order = []
    for client, size in requests:
        _, changed = ledger.offer(Lane.READ, client, size)
        order += changed
    while holding := ledger.having(TicketState.ADMITTED):
        order += ledger.leave(holding[0])
    for client in CLIENTS:
        assert [t for t in order if t.client == client] == [t for t in ledger.tickets if t.client == client]


@given(
    st.lists(st.lists(st.integers(MIB // 8, 3 * MIB), min_size=1, max_size=5), min_size=2, max_size=4),
    st.integers(20, 60),
)
def test_clients_that_always_want_more_get_the_same_bytes(wishes, rounds):
    """Each client repeats its own sizes for ever and never has an empty queue; requests end in the order they came in."""
    largest = max(max(each) for each in wishes)
    capacity = 8 * max(largest, QUANTUM)
    limits = {lane: LaneLimits(capacity=capacity, queue=1000, wait_s=1e9) for lane in Lane}
    admission, got, asked, holding = Admission(limits), [0] * len(wishes), [0] * len(wishes), deque()

    def ask(number):
        size = wishes[number][asked[number] % len(wishes[number])]
        asked[number] += 1
        note(admission.offer(Lane.WRITE, str(number), size, now=0.0)[1])

    def note(admitted):
        holding.extend(admitted)
        for ticket in admitted:
            got[int(ticket.client)] += ticket.size
            ask(int(ticket.client))

    blocker, _ = admission.offer(Lane.WRITE, "blocker", capacity, now=0.0)
    for number in range(len(wishes)):
        for _ in range(capacity // min(min(each) for each in wishes)):
            ask(number)
    note(admission.leave(blocker))
    for _ in range(rounds * len(wishes)):
        note(admission.leave(holding.popleft()))
        assert max(got) - min(got) <= QUANTUM + 2 * largest


@given(st.integers(1, 50), st.integers(1, 3))
def test_who_floods_the_queue_pushes_out_nobody_but_himself(flood, wishes):
    ledger = Ledger()
    ledger.offer(Lane.WRITE, "blocker", 16 * MIB)
    for _ in range(flood):
        ledger.offer(Lane.WRITE, "greedy", MIB)
    honest = [ledger.offer(Lane.WRITE, "honest", MIB)[0] for _ in range(wishes)]
    for _ in range(flood):
        ledger.offer(Lane.WRITE, "greedy", MIB)
    assert all(ticket.state is TicketState.WAITING for ticket in honest)


@given(st.integers(1, 100), st.integers(1, 4 * MIB))
def test_one_client_alone_leaves_room_for_the_next(count, size):
    ledger = Ledger({lane: LaneLimits(capacity=16 * MIB, queue=200, wait_s=30) for lane in Lane})
    for _ in range(count):
        ledger.offer(Lane.READ, "greedy", size)
    assert ledger.admission.used(Lane.READ) <= 12 * MIB
    assert ledger.offer(Lane.READ, "honest", 4 * MIB)[0].state is TicketState.ADMITTED


@given(st.integers(1, 40))
def test_background_goes_on_with_a_little_while_users_wait(count):
    ledger = Ledger()
    ledger.offer(Lane.READ, "user", 16 * MIB)
    ledger.offer(Lane.READ, "user", MIB)
    for number in range(count):
        ledger.offer(Lane.BACKGROUND, f"peer {number}", MIB)
    assert ledger.admission.used(Lane.BACKGROUND) == min(count, 16 // rules.HELD_BACK) * MIB


@given(
    st.floats(1, 60), st.floats(1024, 1e6), st.lists(st.tuples(st.floats(0.001, 50), st.integers(1, MIB)), max_size=30)
)
def test_a_peer_is_waited_for_as_long_as_it_keeps_the_pace_and_never_longer(patience, rate, chunks):
    progress = rules.Progress(Pace(patience, rate))
    waited = moved = 0.0
    for gap, size in chunks:
        keeps_it = gap <= patience and waited + gap <= patience + moved / rate
        assert (gap <= progress.allowance_s) == keeps_it
        if not keeps_it:
            break
        waited, moved = waited + gap, moved + size
        progress.moved(size, gap)
    # Whatever it does, it is waited for no longer than this.
    assert waited + progress.allowance_s <= progress.pace.most_s(moved) * (1 + 1e-9)


def test_what_is_held_anyway_counts_also_beyond_the_lane_and_everything_later_waits():
    admission = Admission(LIMITS)
    stuck = [admission.charge(Lane.READ, client, 12 * MIB) for client in ("alice", "bob")]
    assert admission.used(Lane.READ) == 24 * MIB
    tickets = [admission.offer(Lane.READ, client, MIB, now=0)[0] for client in ("alice", "carol")]
    assert [ticket.state for ticket in tickets] == [TicketState.WAITING] * 2
    assert admission.leave(stuck[1]) == [tickets[1]], "alice waits for her own"
    assert admission.leave(stuck[0]) == [tickets[0]]
    for ticket in tickets:
        admission.leave(ticket)
    assert [admission.used(lane) for lane in Lane] == [0] * len(Lane)
