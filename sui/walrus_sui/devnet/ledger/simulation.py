"""Runs a transaction without effect: to learn its cost, its result, or the values that its commands return.

Gas can be left open: coins and budget are then chosen as for a real run, or an invented coin pays.
"""

from dataclasses import replace

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests, gas, inputs
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.errors import Rejected
from walrus_sui.devnet.ledger.execution import Execution
from walrus_sui.devnet.ledger.inputs import LoadedInputs
from walrus_sui.devnet.ledger.objects import GAS_COIN_TYPE, AddressOwner, Object
from walrus_sui.devnet.ledger.programs import Pure
from walrus_sui.devnet.ledger.queries import owned_objects
from walrus_sui.devnet.ledger.settlement import Outcome
from walrus_sui.devnet.ledger.state import State
from walrus_sui.devnet.ledger.transactions import MAX_GAS_OBJECTS, TransactionData
from walrus_sui.devnet.ledger.views import Simulated
from walrus_sui.devnet.move.core.runtime import ChainRules

MOCK_GAS_ID = ObjectId("0x" + "f" * 64)
MOCK_GAS_BALANCE = 10**18


def simulate(
    state: State,
    rules: ChainRules,
    transaction: TransactionData,
    *,
    do_gas_selection: bool,
    checks: bool,
    epoch: int,
) -> Simulated:
    """See `walrus_sui.devnet.ledger.ledger.Ledger.simulate`."""
    inputs.check_form(transaction, 0)
    data = transaction.gas
    price = data.price or gas.REFERENCE_GAS_PRICE
    open_budget = data.budget == 0
    budget = gas.MAX_BUDGET if open_budget else data.budget
    priced = replace(transaction, gas=replace(data, price=price, budget=budget))
    objects = inputs.load_objects(state, priced, check_owners=checks)

    def run(chosen: TransactionData, payment: tuple[Object, ...]) -> Outcome:
        loaded = LoadedInputs(objects, payment)
        execution = Execution(
            state,
            rules,
            transaction=chosen,
            digest=chosen.digest,
            inputs=loaded,
            collect=True,
            inspect=not checks,
        )
        return execution.run(epoch)

    if data.payment:
        payment = inputs.load_payment(state, priced)
        if open_budget:
            budget = min(budget, sum(coin.coin_balance or 0 for coin in payment))
            priced = replace(priced, gas=replace(priced.gas, budget=budget))
        if checks:
            inputs.check_gas(priced, payment)
        return _finished(run(priced, payment), priced, mock=False)

    mock = _mock_coin(data.owner)
    outcome = run(priced, (mock,))
    if not do_gas_selection:
        return _finished(outcome, priced, mock=True)
    if open_budget:
        budget = min(gas.suggested_budget(outcome.effects.gas_used, price), gas.MAX_BUDGET)
    payment = _select(state, priced, budget)
    refs = tuple(coin.ref for coin in payment)
    paid = replace(priced, gas=replace(priced.gas, payment=refs, budget=budget))
    return _finished(run(paid, payment), paid, mock=False)


def _finished(outcome: Outcome, transaction: TransactionData, *, mock: bool) -> Simulated:
    executed = Executed(
        transaction, transaction.to_bcs(), (), outcome.effects, outcome.events, outcome.before, outcome.after
    )
    return Simulated(executed, outcome.outputs, mock)


def _mock_coin(owner: SuiAddress) -> Object:
    contents = bytes.fromhex(MOCK_GAS_ID[2:]) + MOCK_GAS_BALANCE.to_bytes(8, "little")
    cost = gas.storage_cost(GAS_COIN_TYPE, len(contents))
    return Object(MOCK_GAS_ID, 1, AddressOwner(owner), GAS_COIN_TYPE, contents, digests.ZERO_DIGEST, cost)


def _select(state: State, transaction: TransactionData, budget: int) -> tuple[Object, ...]:
    """The payer's largest coins that together cover the budget and are no inputs."""
    used = {item.object_id for item in transaction.inputs if not isinstance(item, Pure)}
    owner = transaction.gas.owner
    coins = [coin for coin in owned_objects(state, owner, GAS_COIN_TYPE) if coin.object_id not in used]
    coins.sort(key=lambda coin: -(coin.coin_balance or 0))
    chosen: list[Object] = []
    covered = 0
    for coin in coins[:MAX_GAS_OBJECTS]:
        chosen.append(coin)
        covered += coin.coin_balance or 0
        if covered >= budget:
            return tuple(chosen)
    raise Rejected(
        f"Unable to perform gas selection due to insufficient SUI balance for account {owner} "
        f"to satisfy required budget {budget}."
    )
