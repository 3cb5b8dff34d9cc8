"""`tunesmith doctor`."""

from __future__ import annotations

from tunesmith.cli._options import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine offers, measured: cores, matrix rates, GPU, extras, caches.

    Example: tunesmith doctor
    """
    from tunesmith.cli._output import print_facts, print_json
    from tunesmith.recipes import examine

    machine = examine()
    if as_json:
        print_json(machine.as_dict())
        return
    rates = machine.matrix_rate_gflops
    precision = f"{machine.precision}: " if machine.precision else ""
    print_facts(
        [
            ("tunesmith", machine.tunesmith),
            ("python", f"{machine.python} on {machine.system}"),
            ("cores", f"{machine.cores} usable"),
            ("memory", f"{machine.memory_gb:.1f} GB"),
            ("instructions", " ".join(machine.instructions) or "unknown"),
            ("GPU", machine.gpu or "none"),
            *[(f"{name} matrix rate", f"{rate:,.0f} GFLOP/s") for name, rate in rates.items()],
            ("training in", precision + machine.precision_reason),
            *[
                (f"[{extra}]", f"missing: {', '.join(names)}" if names else "installed")
                for extra, names in machine.extras_missing.items()
            ],
            *machine.caches.items(),
        ]
    )
