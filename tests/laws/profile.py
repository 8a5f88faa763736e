"""How long a law may take: chance draws its worlds anew in each run, but no more of them than CI has time for."""

from hypothesis import HealthCheck, Phase, settings

# No shrinking: on a real database it takes minutes, and a failure prints its steps and the blob that repeats it.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def law(*, worlds: int, steps: int = 50) -> settings:
    """So many worlds of at most so many steps; no deadline, for a busy machine is not a broken law."""
    return settings(
        max_examples=worlds,
        stateful_step_count=steps,
        deadline=None,
        phases=PHASES,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
