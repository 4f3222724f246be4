"""What workers run: one module a framework and task, named in `netspec.exports.worker.JOBS`."""
