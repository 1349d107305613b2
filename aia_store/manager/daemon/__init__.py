"""The daemon: rebuilds the bundle when the machine's trust anchors change, and refreshes on schedule.

The main process only watches: `service` is its loop over the `tasks`, and `watching` notices changes of the files in
`watch_list`. Child processes do the work (`job` starts them, `work` runs in them). They can be stopped at any moment,
and their memory is freed when they end. After a change event, the daemon looks at the files to decide what to do.
"""
