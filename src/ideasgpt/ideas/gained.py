"""What purchases and claims add to each idea's score, kept by the database itself on SQLite.

Counting two million purchases anew at each run took three quarters of the time that finding the
scores out of date takes (``docs/decisions/0005-ranking-in-chunks.md``). Triggers keep the sum for
whoever inserts, deletes or moves a purchase or a claim, by whatever way. The table belongs to no
model: PostgreSQL counts quickly enough, and there a trigger would have purchases of one idea wait
for each other.

Made after every migration, not by one: SQLite drops a table's triggers when a migration makes the
table anew. Sums that do not come to what there is are made anew then; until then the job notices
and counts (``update_rankings.find_stale``).
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

TABLE = """
CREATE TABLE IF NOT EXISTS ideas_gained (
    idea_id INTEGER PRIMARY KEY NOT NULL, tenths INTEGER NOT NULL
)
"""
# Two statements and no upsert: "INSERT OR IGNORE" of a purchase would have the upsert ignore, too.
GIVE = """
    INSERT INTO ideas_gained SELECT NEW.idea_id, 0
    WHERE NOT EXISTS (SELECT 1 FROM ideas_gained WHERE idea_id = NEW.idea_id);
    UPDATE ideas_gained SET tenths = tenths + {tenths} WHERE idea_id = NEW.idea_id;
"""
TAKE = """
    UPDATE ideas_gained SET tenths = tenths - {tenths} WHERE idea_id = OLD.idea_id;
    DELETE FROM ideas_gained WHERE idea_id = OLD.idea_id AND tenths = 0;
"""
EVENTS = (
    ("made", "INSERT", GIVE),
    ("gone", "DELETE", TAKE),
    ("moved", "UPDATE OF idea_id", TAKE + GIVE),
)
TRIGGERS = {
    f"ideas_{what}_{name}": f"CREATE TRIGGER ideas_{what}_{name} AFTER {event} ON ideas_{what}"
    f" BEGIN {act.format(tenths=tenths)} END"
    for what, tenths in (("purchase", 30), ("claim", 50))
    for name, event, act in EVENTS
}
TRIGGERS_THERE = """
SELECT name FROM sqlite_master
WHERE type = 'trigger' AND tbl_name IN ('ideas_purchase', 'ideas_claim')
"""
RIGHT = """
SELECT (SELECT COALESCE(SUM(tenths), 0) FROM ideas_gained)
     = (SELECT COUNT(*) FROM ideas_purchase) * 30 + (SELECT COUNT(*) FROM ideas_claim) * 50
"""
COUNT = """
INSERT INTO ideas_gained
SELECT idea_id, SUM(tenths) FROM (
    SELECT idea_id, COUNT(*) * 30 AS tenths FROM ideas_purchase GROUP BY idea_id
    UNION ALL SELECT idea_id, 50 FROM ideas_claim
) GROUP BY idea_id ORDER BY idea_id
"""


def keep_gained(*, using: str = DEFAULT_DB_ALIAS, **_signal: Any) -> None:
    """Make table and triggers where they are missing; a receiver of ``post_migrate``.

    One transaction, so that no purchase slips in between the count and the triggers.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or using != DEFAULT_DB_ALIAS:
        return
    if not {"ideas_purchase", "ideas_claim"} <= set(connection.introspection.table_names()):
        return
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute(TRIGGERS_THERE)
        there = {name for (name,) in cursor.fetchall()}
        missing = [text for name, text in TRIGGERS.items() if name not in there]
        for trigger in missing:
            cursor.execute(trigger)
        cursor.execute(RIGHT)
        if missing or not cursor.fetchone()[0]:
            cursor.execute("DELETE FROM ideas_gained")
            cursor.execute(COUNT)
