"""The auditor's report as text."""
import audit

SHOWN = 10  # findings of a kind; the rest is counted
TITLES = {"lost": "lost", "altered": "altered", "order": "out of order per key", "below": "duplicate below the last commit"}


def _ms(us):
    return f"{us / 1000:.1f} ms"


def _restart(records, receipts, kill):
    wait = audit.restart_us(records, receipts, kill)
    if wait is None:
        return "the broker was killed, and no record was appended after that"
    return f"{_ms(wait)} from the kill of the broker until a record appended after it was received"


def _failover(receipts, kill):
    waits = audit.failover_us(receipts, kill)
    if not waits:
        return f"{kill.name} was killed, and no record came after that in its partitions"
    told = f"{_ms(min(waits.values()))} from the kill of {kill.name} until an heir received a record of its partitions"
    silent = len(kill.commits) - len(waits)
    return told + (f"; {silent} of its {len(kill.commits)} had no more" if silent else f", {_ms(max(waits.values()))} until of each")


def lines(figures, findings, events):
    """(title, value). `events`: records, receipts and kills, for the times."""
    members = ", ".join(f"{name} {count:,}" for name, count in sorted(figures.by_member.items()))
    yield "orders", f"{figures.rows:,} lines, {figures.keys:,} keys"
    yield "produced", f"{figures.topic:,} records in {figures.partitions} partitions of the topic"
    yield "consumed", f"{figures.consumed:,} records ({members})"
    yield "lost", f"{figures.lost:,}"
    yield "altered", f"{figures.altered:,}"
    yield "out of order per key", f"{figures.order:,}"
    yield "duplicates", f"{figures.above:,} above the killed member's last commit (at least once: allowed), {figures.below:,} below"
    records, receipts, kills = events
    for kill in kills:
        if kill.name == "broker":
            yield "broker restart", _restart(records, receipts, kill)
        else:
            yield "failover", _failover(receipts, kill)
    many = "1 finding" if len(findings) == 1 else f"{len(findings):,} findings"
    yield "verdict", many if findings else "nothing lost, nothing out of order, nothing below a commit twice"


def text(figures, findings, events):
    rows = [f"  {title:<22}{value}" for title, value in lines(figures, findings, events)]
    for kind, title in TITLES.items():
        of_kind = [finding for finding in findings if finding.kind == kind]
        rows += [f"  {title}: {finding.where}: {finding.what}" for finding in of_kind[:SHOWN]]
        if len(of_kind) > SHOWN:
            rows.append(f"  {title}: {len(of_kind) - SHOWN:,} more")
    return "\n".join(["The auditor's report", *rows])
