# One line for each container of a user, from what the last lifecycle pass saw; nothing if that is long ago.
# $uid is whose; the input is lifecycle.json.
def moment: sub("\\.[0-9]+Z$"; "Z") | fromdate;
def span:
    floor | if . < 60 then "\(.)s" elif . < 3600 then "\(. / 60 | floor)m"
    elif . < 86400 then "\(. / 3600 | floor)h" + (. % 3600 / 60 | floor | if . > 0 then " \(.)m" else "" end)
    else "\(. / 86400 | floor)d" + (. % 86400 / 3600 | floor | if . > 0 then " \(.)h" else "" end) end;
def clean: gsub("[[:cntrl:]]"; "?");
{"stop": "stops", "return-gpus": "GPUs return", "remove": "is removed"} as $verbs
| now as $now
# Older than this, it says nothing of now.
| select(.pass.at != null and ($now - (.pass.at | moment)) < 1800)
| [.containers[] | select(.uid == $uid)] | sort_by(.state != "running", .name)
| (map(.name | length) | max // 0) as $wide
| (.[:8][]
    | (.gpus // [] | length) as $devices
    | [(if .state == "exited" then (.note | select(. != "")) // "stopped" else .state end),
       (if $devices == 1 then "1 GPU" elif $devices > 1 then "\($devices) GPUs" else empty end),
       (if .kept_until and (.kept_until | moment) > $now
        then "kept for \((.kept_until | moment) - $now | span)" else empty end),
       (.next | select(. != null)
        | ((.at | moment) - $now) as $left
        | "\($verbs[.action] // .action) \(if $left < 1 then "now" else "in \($left | span)" end): \(.why)"),
       (if (.warned | length) > 0 then "warned" else empty end)] as $words
    | "DS01: \(.name + " " * ($wide - (.name | length)) | clean)  \($words | join(", ") | clean)"),
  (if length > 8 then "DS01: and \(length - 8) more: container-list" else empty end)
