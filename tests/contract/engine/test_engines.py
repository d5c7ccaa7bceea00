"""All cases, as one file: lanes that run side by side take whole files, and engines are costly to start."""
# ruff: noqa: F403

from tests.contract.engine.cases.cancel import *
from tests.contract.engine.cases.capacity import *
from tests.contract.engine.cases.deaths import *
from tests.contract.engine.cases.limits import *
from tests.contract.engine.cases.mistakes import *
from tests.contract.engine.cases.restarts import *
from tests.contract.engine.cases.sinks import *
from tests.contract.engine.cases.streams import *
