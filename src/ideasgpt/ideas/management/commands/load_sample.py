"""``load_sample``: add sample data of any size."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ideasgpt.sample import SampleError, load_sample
from ideasgpt.sample.load import SMALL_CLAIMS, SMALL_IDEAS, SMALL_PURCHASES

STEP = 100_000
SIZES = {"ideas": SMALL_IDEAS, "purchases": SMALL_PURCHASES, "claims": SMALL_CLAIMS}


class Command(BaseCommand):
    """Add sample categories, users, ideas, purchases and claims."""

    help = "Adds reproducible sample data to what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the sizes and the seed."""
        for name, default in SIZES.items():
            parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Load, saying every now and then how far it is."""
        sizes = {name: options[name] for name in SIZES}
        try:
            load_sample(**sizes, seed=options["seed"], tell=self._tell)
        except SampleError as error:
            raise CommandError(str(error)) from error
        said = ", ".join(f"{number:,} {name}" for name, number in sizes.items())
        self.stdout.write(f"Added {said} (seed {options['seed']}).")

    def _tell(self, what: str, done: int, total: int) -> None:
        if done % STEP == 0 and done < total:
            self.stdout.write(f"{what}: {done:,} of {total:,}")
