"""The only corridor: entry points, planning, executors and reports; the only folder that knows all the others."""
