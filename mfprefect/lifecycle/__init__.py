"""The recommended workflow, as Prefect flows and tasks. Only this package needs Prefect."""
