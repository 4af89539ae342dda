"""Incidents as notifications: to webhooks, to Alertmanager, by mail (docs/notify.md).

    oda.incidents ──> courier: mailbox ──> channel ──> whoever is to know        one of each for every receiver
    Kafka's offsets ──> watch: standstill ──┘

`file` is what a file of receivers and routes may say, `parse` checks it. `notification` is what all notifications have
in common, `incident` and `standstill` are the two kinds. `mailbox` decides what is due, without any I/O; `courier`
brings it from Kafka to one receiver's channel.
"""
