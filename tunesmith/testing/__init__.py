"""Contract suites: what every task, check, step, criterion and runtime must pass, ours and yours.

A suite is a class for pytest; subclass it, and give it what it asks for as a fixture:

    class TestMyRuntime(RuntimeContract):
        @pytest.fixture
        def runtime(self):
            return MyRuntime(...)
"""

from tunesmith.testing.check_contract import CheckContract, StepContract
from tunesmith.testing.criterion_contract import CriterionContract
from tunesmith.testing.runtime_contract import RuntimeContract
from tunesmith.testing.task_contract import TaskContract

__all__ = [
    "CheckContract",
    "CriterionContract",
    "RuntimeContract",
    "StepContract",
    "TaskContract",
]
