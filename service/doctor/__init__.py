"""What is wrong here, the worst first, and what to do about it: looked at on demand.

The command `darkroom doctor` and the dashboard's page show the same findings.
"""

from service.doctor.checks import examine
from service.doctor.findings import Finding, Grade

__all__ = ["Finding", "Grade", "examine"]
