"""What a run has learned, as a page for people and as figures."""

from __future__ import annotations

from dlcli.report.html import Report, write_report

__all__ = ["Report", "write_report"]
