"""The daemon: rebuilds the bundle when the machine's trust anchors change, and refreshes on schedule.

The main process only watches: `service` is its loop over the `tasks`, and `watching` notices when what is in the
`watch_list` changes. Child processes do the work (`job` starts them, `work` runs in them). They can be stopped at any
moment, and their memory is freed when they end. Events are only hints: the files themselves decide what is done.
"""
