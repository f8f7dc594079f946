#!/bin/sh
# Stop this box when it is idle, and at its hard cap even if it is busy.
#
#   watchdog.sh             check once, write the status, stop the box if it is time
#   watchdog.sh extend 4h   keep the box up for four hours from now, even if it is idle
#
# A timer starts it each minute. First it schedules a shutdown for the cap, so that the cap holds
# even if the watchdog hangs or dies. The time of the last use is kept in /run, which is empty after
# each boot. The start of the cap's hours and the time of `extend` are kept on the disk, so that a
# reboot gives no new hours. A power-off removes them, so that a started box counts from zero.

config=${DL_CONFIG:-/etc/dl/watchdog.conf}
state=${DL_STATE:-/run/dl}
lasting=${DL_LASTING:-/var/lib/dl}
proc=${DL_PROC:-/proc}

BUSY_PERCENT=5
WARN_SECONDS=300
# After each boot a box stays up this long, even past its cap. A box that lost power has kept its
# old hours; `dl aws start` needs the time to reset them.
GRACE_SECONDS=900
# The longest that `extend` may keep a box: a year.
MOST_SECONDS=31536000
# logind refuses logins in the last five minutes before a scheduled shutdown. So that shutdown is
# set later than the cap, and the watchdog itself stops the box at the cap.
LATER_MINUTES=6

# whole TEXT DEFAULT: the text if it is a whole number, else the default.
# A number with a leading zero would be read as octal.
whole() {
    case $1 in
        '' | *[!0-9]* | 0?* | ???????????*) echo "$2" ;;
        *) echo "$1" ;;
    esac
}

setting() { sed -n "s/^$1=//p" "$config" 2>/dev/null | tail -n 1; }

# stored FILE DEFAULT: the number in a file.
stored() { whole "$(cat "$1" 2>/dev/null)" "$2"; }

# store FILE: write standard input to a file in one step.
store() { cat >"$1.$$" && mv -f "$1.$$" "$1"; }

# seen SECONDS: the box was in use at that time.
seen() {
    if [ "$1" -gt "$last_busy" ] && [ "$1" -le "$now" ]; then last_busy=$1; fi
}

# A GPU that gives no answer counts as idle. Other signs show work too, and waiting for the cap
# would cost a whole day.
look_at_gpus() {
    gpus='no GPU'
    command -v nvidia-smi >/dev/null || return
    gpus='GPU unknown'
    answer=$(timeout -k 2 10 nvidia-smi --query-gpu=utilization.gpu \
        --format=csv,noheader,nounits 2>/dev/null) || return
    highest=-1
    for percent in $answer; do
        percent=$(whole "$percent" -1)
        if [ "$percent" -gt "$highest" ] && [ "$percent" -le 100 ]; then highest=$percent; fi
    done
    [ "$highest" -ge 0 ] || return
    gpus="GPU $highest %"
    if [ "$highest" -ge "$BUSY_PERCENT" ]; then seen "$now"; fi
}

# Copies and the setup have neither a terminal nor a job.
look_at_arrivals() {
    arrivals=''
    if echo "$processes" |
        grep -Eq '^([^ ]*/)?(rsync --server|sftp-server)|^sshd[a-z-]*: .*@internal-sftp'; then
        arrivals=', copying'
    fi
    lock=$home/.dl/bootstrap.lock
    if [ -e "$lock" ]; then
        flock -n -E 75 "$lock" true 2>/dev/null
        if [ $? -eq 75 ]; then arrivals="$arrivals, being set up"; fi
    fi
    if [ -n "$arrivals" ]; then seen "$now"; fi
}

look_at_jobs() {
    jobs=0
    for folder in "$home"/.dl/jobs/*/; do
        [ -e "${folder}rc" ] && continue
        pid=$(whole "$(cat "${folder}pid" 2>/dev/null)" '')
        [ -n "$pid" ] || continue
        written=$(stat -c %Y "${folder}pid" 2>/dev/null) || continue
        # shellcheck disable=SC2046 # two words are wanted
        set -- $(ps -o stat= -o etimes= -p "$pid" 2>/dev/null)
        [ $# -eq 2 ] || continue
        case $1 in Z* | X*) continue ;; esac
        # a pid may be reused: the job must have begun before its pid was written
        if [ $((now - $2)) -le $((written + 5)) ]; then jobs=$((jobs + 1)); fi
    done
    if [ "$jobs" -gt 0 ]; then seen "$now"; fi
}

# A terminal with tmux counts only while something is typed or shown in it, because people leave
# tmux attached overnight.
look_at_terminals() {
    terminals=0 silent=0
    clients=$(timeout -k 2 5 tmux -S "/tmp/tmux-$uid/default" list-clients \
        -F '#{client_tty} #{client_activity} #{window_activity}' 2>/dev/null)
    # sshd names its processes `sshd: ubuntu@pts/0`, with several terminals `...@pts/0,pts/1`
    for name in $(echo "$processes" |
        sed -n 's|^sshd[a-z-]*: .*@\(pts/[0-9][pts/0-9,]*\) *$|\1|p' | tr , ' '); do
        client=$(echo "$clients" | grep "^/dev/$name ")
        if [ -z "$client" ]; then
            terminals=$((terminals + 1))
            seen "$now"
            continue
        fi
        before=$last_busy
        # shellcheck disable=SC2086 # three words
        set -- $client
        seen "$(whole "$2" 0)"
        # the watchdog's own warning appears in tmux too
        if [ "$(whole "$3" 0)" -gt $((walled + 2)) ] || [ "$(whole "$3" 0)" -lt "$walled" ]; then
            seen "$(whole "$3" 0)"
        fi
        if [ "$last_busy" -gt "$before" ]; then
            terminals=$((terminals + 1))
        else
            silent=$((silent + 1))
        fi
    done
}

look_at_kernels() {
    kernels=0
    for file in "$home"/.local/share/jupyter/runtime/jpserver-*.json; do
        [ -e "$file" ] || continue
        url=$(sed -n 's/.*"url": *"\(http[^"]*\)".*/\1/p' "$file")
        token=$(sed -n 's/.*"token": *"\([^"]*\)".*/\1/p' "$file")
        # the token goes by standard input, because every user can read command lines
        answer=$(echo "Authorization: token $token" |
            curl -kfsS --noproxy '*' --max-time 5 -H @- "${url}api/kernels" 2>/dev/null) || continue
        answer=$(echo "$answer" | tr -d ' \n' | tr '{' '\n')
        busy=$(echo "$answer" | grep -c '"execution_state":"busy"')
        kernels=$((kernels + busy))
        # running a short cell now and then is work too
        for moment in $(echo "$answer" | sed -n 's/.*"last_activity":"\([^"]*\)".*/\1/p'); do
            seen "$(whole "$(date -d "$moment" +%s 2>/dev/null)" 0)"
        done
    done
    if [ "$kernels" -gt 0 ]; then seen "$now"; fi
}

minutes() { echo "$((($1 + 59) / 60)) min"; }

# count NUMBER NOUN: "2 jobs", "no job"
count() {
    case $1 in 0) echo "no $2" ;; 1) echo "1 $2" ;; *) echo "$1 ${2}s" ;; esac
}

announce() {
    echo "$now" | store "$state/walled"
    timeout -k 2 10 wall "dl: $1" 2>/dev/null
}

stop() {
    shutdown -h now "dl: $1" || systemctl --force poweroff
}

look() {
    now=$(whole "$(date +%s)" '')
    # without a clock, the shutdown of an earlier look or of the boot stays scheduled
    [ -n "$now" ] || exit 1
    mkdir -p "$state" "$lasting"
    booted=$((now - $(whole "$(cut -d . -f 1 "$proc/uptime")" 0)))
    began=$(stored "$lasting/began" 0)
    # a damaged file must not extend the cap
    if [ "$began" -eq 0 ] || [ "$began" -gt "$booted" ]; then
        began=$booted
        echo "$began" | store "$lasting/began"
    fi
    cap_seconds=$(whole "$(setting cap_seconds)" 0)
    if [ "$cap_seconds" -eq 0 ]; then cap_seconds=86400; fi
    cap=$((began + cap_seconds))
    kept=$(stored "$lasting/until" 0)
    if [ "$kept" -gt $((now + MOST_SECONDS)) ]; then kept=0; fi
    if [ "$kept" -gt "$cap" ]; then cap=$kept; fi
    if [ "$cap" -lt $((booted + GRACE_SECONDS)) ]; then cap=$((booted + GRACE_SECONDS)); fi
    left=$((cap - now))
    if [ "$left" -lt 0 ]; then left=0; fi
    shutdown --no-wall -h "+$((left / 60 + LATER_MINUTES))" >/dev/null 2>&1
    if [ "$left" -eq 0 ]; then
        stop "its hard cap is reached"
        exit
    fi

    idle_limit=$(whole "$(setting idle_seconds)" 1800)
    user=$(setting user)
    home=$(getent passwd "${user:-ubuntu}" | cut -d : -f 6)
    uid=$(id -u "${user:-ubuntu}" 2>/dev/null)
    last_busy=$(stored "$state/last_busy" "$now")
    if [ "$last_busy" -gt "$now" ]; then last_busy=$now; fi
    walled=$(stored "$state/walled" 0)
    processes=$(ps -ww -eo args= 2>/dev/null)
    look_at_gpus
    look_at_jobs
    look_at_arrivals
    look_at_terminals
    look_at_kernels
    echo "$last_busy" | store "$state/last_busy"
    idle=$((now - last_busy))
    sees="$gpus, $(count "$jobs" job), $(count "$terminals" 'ssh terminal')"
    if [ "$silent" -gt 0 ]; then sees="$sees, $silent silent tmux"; fi
    sees="$sees, $(count "$kernels" 'busy Jupyter kernel')$arrivals"

    stops_at=$cap because=cap
    if [ "$idle_limit" -gt 0 ] && [ "$idle" -gt 0 ]; then
        at=$((last_busy + idle_limit))
        if [ "$at" -lt "$kept" ]; then at=$kept; fi
        if [ "$at" -lt "$cap" ]; then stops_at=$at because=idle; fi
    fi
    store "$state/watchdog" <<END
checked=$now
idle=$idle
stops_at=$stops_at
because=$because
sees=$sees
END

    left=$((stops_at - now))
    if [ "$left" -gt "$WARN_SECONDS" ]; then
        rm -f "$state/warned"
        return
    fi
    warned=$(cat "$state/warned" 2>/dev/null)
    if [ "$left" -le 0 ] && [ "$warned" = idle ]; then
        stop "idle for $(minutes "$idle") ($sees)"
    elif [ "$warned" != "$because" ]; then
        echo "$because" | store "$state/warned"
        # at least a minute to react, even if the clock has jumped
        if [ "$left" -lt 60 ]; then left=60; fi
        if [ "$because" = idle ]; then
            reason="idle for $(minutes "$idle") ($sees)"
        else
            reason='its hard cap is near'
        fi
        announce "$reason: this box stops in $(minutes "$left"). \`dl aws extend 2h\` keeps it."
    fi
}

extend() {
    amount=$(whole "${1%[smhd]}" 0)
    case $1 in
        *s) unit=1 ;;
        *m) unit=60 ;;
        *h) unit=3600 ;;
        *d) unit=86400 ;;
        *) unit=0 ;;
    esac
    seconds=$((amount * unit))
    if [ "$seconds" -lt 1 ] || [ "$seconds" -gt "$MOST_SECONDS" ]; then
        echo "Expected a time such as 90m or 4h, received: $1" >&2
        exit 2
    fi
    mkdir -p "$state" "$lasting"
    until=$(($(date +%s) + seconds))
    # never shorten an earlier extension
    if [ "$until" -gt "$(stored "$lasting/until" 0)" ]; then
        echo "$until" | store "$lasting/until"
    fi
    look
    cat "$state/watchdog"
}

case ${1:-} in
    '') look ;;
    extend) extend "${2:-}" ;;
    *)
        echo "usage: watchdog.sh [extend TIME]" >&2
        exit 2
        ;;
esac
