"""The audit itself: pure functions from evidence to findings and figures.

What must hold, and is counted when it does not:

  topic     has exactly the rows of the file: per key the same values in the same order, in one partition, offsets without holes
  members   have received exactly the records of the topic, each at least once, with the same key and value
  order     per key: no record is received for the first time after a later one of its key, in one member's file by its lines,
            between members by the times between which each was received
  twice     a record may come a second time only if a killed member received it and had not committed it, and a living one
            received it after the kill; everything else received twice is a finding ("below the last commit")
"""
from collections import Counter, defaultdict, namedtuple

# kind: lost, altered, order or below. where: what a person needs to find the record.
Finding = namedtuple("Finding", "kind where what")
Figures = namedtuple("Figures", "rows keys topic partitions consumed by_member above below lost order altered")


def place(partition, offset, key):
    name = "none" if key is None else key.decode("utf-8", "backslashreplace")
    return f"partition {partition}, offset {offset}, key {name}"


def _by_key(items):
    groups = defaultdict(list)
    for item in items:
        groups[item.key].append(item)
    return groups


def find_holes(records):
    """Offsets of a partition are 0, 1, 2, ...: each exactly once and in order."""
    expected = Counter()
    for record in records:
        wanted = expected[record.partition]
        here = place(record.partition, record.offset, record.key)
        if record.offset > wanted:
            what = f"offsets {wanted} to {record.offset - 1} are not in the topic" if record.offset - wanted > 1 else \
                f"offset {wanted} is not in the topic"
            yield Finding("lost", f"before {here}", what)
        elif record.offset < wanted:
            yield Finding("order", here, f"offset {wanted - 1} of the topic came before it")
        expected[record.partition] = max(wanted, record.offset + 1)


def compare_key(key, rows, records):
    """Findings of one key: `rows` of the file against `records` of the topic, in their orders."""
    partitions = {record.partition for record in records}
    if key is not None and len(partitions) > 1:
        yield Finding("order", place(sorted(partitions)[0], records[0].offset, key),
                      f"this key is in partitions {', '.join(map(str, sorted(partitions)))}: they have no common order")
    unclaimed = defaultdict(list)  # value -> its records, in order
    for record in records:
        unclaimed[record.value].append(record)
    claims = {}  # (partition, offset) -> place of its row within the key
    before = None
    for index, row in enumerate(rows):
        if unclaimed[row.value]:
            before = unclaimed[row.value].pop(0)
            claims[before.partition, before.offset] = index
        else:
            after = f"after {place(*before[:3])}" if before else place("?", "?", key)
            yield Finding("lost", after, f"line {row.line} of the orders is not in the topic")
    reached = -1
    for record in records:
        index = claims.get((record.partition, record.offset))
        if index is None:
            yield Finding("altered", place(*record[:3]), "no line of the orders, or once more than it is there")
        elif index < reached and key is not None:
            yield Finding("order", place(*record[:3]), f"line {rows[index].line} of the orders, but line "
                                                       f"{rows[reached].line} of this key came before it in the topic")
        else:
            reached = max(reached, index)


def compare_topic(rows, records):
    findings = list(find_holes(records))
    rows_of, records_of = _by_key(rows), _by_key(records)
    for key in rows_of.keys() | records_of.keys():
        theirs, ours = rows_of.get(key, []), records_of.get(key, [])
        same = [row.value for row in theirs] == [record.value for record in ours]
        if not (same and len({record.partition for record in ours}) == 1):
            findings.extend(compare_key(key, theirs, ours))
    return findings


def check_contents(records, receipts):
    """Everything of the topic was received, and nothing else."""
    topic = {(record.partition, record.offset): record for record in records}
    received = set()
    for receipt in receipts:
        record = topic.get((receipt.partition, receipt.offset))
        here = place(receipt.partition, receipt.offset, receipt.key)
        received.add((receipt.partition, receipt.offset))
        if record is None:
            yield Finding("altered", here, f"{receipt.member} received it (line {receipt.line}), but the topic has none there")
        elif (record.key, record.value) != (receipt.key, receipt.value):
            yield Finding("altered", here, f"{receipt.member} received another record than the topic has (line {receipt.line})")
    for where, record in topic.items():
        if where not in received:
            yield Finding("lost", place(*record[:3]), "no member received it")


def check_order(receipts):
    """`receipts`: members one after the other, each in the order of its lines."""
    late = {}  # (partition, offset) -> Finding; one record is late once, however it is seen
    first = {}  # (partition, offset) -> [earliest, latest, key]
    highest, seen = {}, set()
    for receipt in receipts:
        at = (receipt.partition, receipt.offset)
        times = first.setdefault(at, [receipt.earliest_us, receipt.latest_us, receipt.key])
        times[0], times[1] = min(times[0], receipt.earliest_us), min(times[1], receipt.latest_us)
        if receipt.key is None or (receipt.member, at) in seen:
            continue
        seen.add((receipt.member, at))
        line = (receipt.member, receipt.partition, receipt.key)
        if receipt.offset < highest.get(line, -1):
            late[at] = Finding("order", place(*at, receipt.key), f"{receipt.member} received it (line {receipt.line}) "
                                                                 f"after offset {highest[line]} of the same key")
        highest[line] = max(receipt.offset, highest.get(line, -1))
    soonest = {}  # (partition, key) -> (latest moment, offset) of the later record that came soonest
    for at in sorted(first, reverse=True):
        earliest, latest, key = first[at]
        if key is None:
            continue
        bound, later = soonest.get((at[0], key), (None, None))
        if bound is not None and earliest > bound:
            late.setdefault(at, Finding("order", place(*at, key), f"received {(earliest - bound) / 1000:.1f} ms or more after "
                                                                  f"offset {later} of the same key, by another member"))
        if bound is None or latest < bound:
            soonest[at[0], key] = (latest, at[1])
    return list(late.values())


def is_excused(copies, killed):
    """Whether these receipts of one record are what at-least-once allows: a killed member received it and could not commit it,
    and one living member received it after the kill."""
    dead = [killed[copy.member] for copy in copies if copy.member in killed]
    living = [copy for copy in copies if copy.member not in killed]
    offset, partition = copies[0].offset, copies[0].partition
    return (len({copy.member for copy in copies}) == len(copies) and len(living) <= 1
            and all(kill.commits.get(partition, offset + 1) <= offset for kill in dead)
            and all(copy.latest_us >= kill.at_us for copy in living for kill in dead))


def check_duplicates(receipts, kills):
    """(number that is allowed, findings)."""
    killed = {kill.name: kill for kill in kills if kill.name != "broker"}
    copies_of = defaultdict(list)
    for receipt in receipts:
        copies_of[receipt.partition, receipt.offset].append(receipt)
    allowed, findings = 0, []
    for at, copies in copies_of.items():
        if len(copies) == 1:
            continue
        if is_excused(copies, killed):
            allowed += len(copies) - 1
            continue
        how = ", ".join(f"{copy.member} line {copy.line}" for copy in copies)
        what = f"received {len(copies)} times: {how}"
        for copy in copies:
            if copy.member in killed and at[0] in killed[copy.member].commits:
                what += f"; {copy.member} had committed up to {killed[copy.member].commits[at[0]]} when it was killed"
                break
        findings.append(Finding("below", place(*at, copies[0].key), what))
    return allowed, findings


def failover_us(receipts, kill):
    """{partition: time from the kill to the first record that another member received}, of the dead member's partitions."""
    found = {}
    for receipt in receipts:
        if receipt.member != kill.name and receipt.partition in kill.commits and receipt.latest_us >= kill.at_us \
                and receipt.offset >= kill.commits[receipt.partition]:
            wait = receipt.latest_us - kill.at_us
            found[receipt.partition] = min(wait, found.get(receipt.partition, wait))
    return found


def restart_us(records, receipts, kill):
    """Time from the kill of the broker to the first receipt of a record that was appended after it, or None."""
    newer = {(record.partition, record.offset) for record in records if record.ts_ms > kill.unix_ms}
    waits = [receipt.latest_us - kill.at_us for receipt in receipts if (receipt.partition, receipt.offset) in newer]
    return min(waits, default=None)


def audit(rows, records, receipts, kills):
    """(Figures, findings). `receipts`: of all members, one after the other."""
    findings = compare_topic(rows, records)
    findings += check_contents(records, receipts)
    findings += check_order(receipts)
    above, below = check_duplicates(receipts, kills)
    findings += below
    count = Counter(finding.kind for finding in findings)
    return Figures(rows=len(rows), keys=len({row.key for row in rows}), topic=len(records),
                   partitions=len({record.partition for record in records}),
                   consumed=len({(receipt.partition, receipt.offset) for receipt in receipts}),
                   by_member=Counter(receipt.member for receipt in receipts), above=above, below=count["below"],
                   lost=count["lost"], order=count["order"], altered=count["altered"]), findings
