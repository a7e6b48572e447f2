"""One process of its own: ``fill N``, ``drain URL LATER``, ``show``; each prints a JSON line."""

from __future__ import annotations

import json
from datetime import timedelta

from django.core.management import BaseCommand, call_command
from tests.drain.backlog.models import Letter

from cronbell.drain.drain import Drain
from cronbell.drain.settings import BatchSize
from cronbell.drain.target import HttpTarget
from cronbell.endpoint import JobContext
from cronbell.testing import ShiftedClock


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("what", choices=["fill", "drain", "show"])
        parser.add_argument("words", nargs="*")

    def handle(self, **options):
        answer = getattr(self, options["what"])(*options["words"])
        self.stdout.write(json.dumps(answer))

    def fill(self, count):
        call_command("migrate", run_syncdb=True, verbosity=0)
        Letter.objects.bulk_create(Letter(text=str(number)) for number in range(int(count)))
        return {"filled": Letter.objects.count()}

    def drain(self, url, later):
        """Drain all there is, some seconds later than the machine's clock says."""
        clock = ShiftedClock()
        clock.show(clock.now() + timedelta(seconds=float(later)))
        context = JobContext("post", clock=clock)
        posting = Drain(
            name="post",
            qualifying=Letter.objects.all,
            call=HttpTarget(url),
            batch=BatchSize(20),
            batches=None,
            concurrency=4,
        )
        result = posting.run(context)
        return {"handled": [item.record_id for item in context.items], **result.data}

    def show(self):
        columns = ("pk", "drain_state", "drain_owner", "drain_version", "drain_failures")
        return {"letters": list(Letter.objects.order_by("pk").values_list(*columns))}
