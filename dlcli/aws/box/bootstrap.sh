#!/bin/bash
# Set up a box: Python, dlcli, Jupyter and TensorBoard on localhost, tmux, the owner's script.
#
#   bootstrap.sh VERSION WHEEL        run the setup
#   bootstrap.sh start VERSION WHEEL  run it in the background; prints its folder
#   bootstrap.sh follow FOLDER BYTES  print its output after so many bytes; exits with its code, or
#                                     75 while it runs
#
# It may run again at any time; it then does what is missing. The log is ~/.dl/bootstrap.log;
# standard output has one line per step.
set -euo pipefail
here=$HOME/.dl
venv=$here/venv
log=$here/bootstrap.log
units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a

start() {
    local folder
    folder=$(mktemp -d -t dl-setup-XXXXXX)
    touch "$folder/steps"
    # a session of its own outlives the connection
    DL_SETUP=$folder setsid bash "$0" "$@" >"$folder/steps" 2>&1 </dev/null &
    echo $! >"$folder/pid"
    echo "$folder"
}

follow() {
    local folder=$1 known=$2 code
    for _ in {1..50}; do
        code=75
        # read before the output: the setup prints nothing after it
        if [ -e "$folder/code" ]; then
            code=$(cat "$folder/code")
        elif ! kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
            code=1 # killed
        fi
        if [ "$code" -ne 75 ] || [ "$(wc -c <"$folder/steps")" -gt "$known" ]; then break; fi
        sleep 0.2
    done
    tail -c "+$((known + 1))" "$folder/steps"
    exit "$code"
}

step() {
    echo "== $(date -u +%FT%TZ) $*"
    echo "$*" >&3 || true
}

ended() {
    code=$?
    if [ "$code" -ne 0 ]; then echo "== $(date -u +%FT%TZ) failed with exit code $code"; fi
    if [ -n "${DL_SETUP:-}" ]; then
        echo "$code" >"$DL_SETUP/code.new" && mv "$DL_SETUP/code.new" "$DL_SETUP/code"
    fi
}

# is_new NAME TEXT: whether a step has not been done for this text yet.
is_new() { [ "$(cat "$here/done-$1" 2>/dev/null)" != "$2" ]; }
is_done() { echo "$2" >"$here/done-$1.new" && mv -f "$here/done-$1.new" "$here/done-$1"; }

apt_install() {
    step "Installing $*"
    sudo -n apt-get -o DPkg::Lock::Timeout=300 update
    sudo -n --preserve-env=DEBIAN_FRONTEND,NEEDRESTART_MODE \
        apt-get -o DPkg::Lock::Timeout=300 install -y "$@"
}

system_packages() {
    # cloud-init may be using apt
    if command -v cloud-init >/dev/null; then timeout 300 cloud-init status --wait || true; fi
    local missing=() tool
    for tool in tmux rsync curl; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
}

usable_python() {
    local name
    for name in python3.12 python3.11; do
        if "$name" -c 'import ensurepip, venv'; then
            python=$name
            return
        fi
    done
    return 1
}

make_venv() {
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version; then return; fi
    if ! usable_python; then
        # Ubuntu 24.04 has Python 3.12, 22.04 has 3.11 beside its 3.10
        if command -v python3.12 >/dev/null; then
            apt_install python3.12-venv
        else
            apt_install python3.11 python3.11-venv
        fi
        usable_python
    fi
    step "Making ~/.dl/venv with $("$python" --version)"
    rm -rf "$venv"
    rm -f "$here/done-packages"
    "$python" -m venv "$venv"
}

job_at_work() {
    local folder
    for folder in "$here"/jobs/*/; do
        if [ ! -e "${folder}rc" ] && kill -0 "$(cat "${folder}pid")"; then return; fi
    done
    return 1
}

install_packages() {
    # never from the package index: it has another project of this name
    local wanted identity line
    wanted="$(realpath "$wheel")[gpu,tensorboard]"
    identity="$version $(sha256sum <"$wheel")"
    # a running job may still import from the installed package
    if is_new packages "$identity" && [ -e "$here/done-packages" ] && job_at_work; then
        step 'A job is running: dl is not updated now; run the setup again after it'
    elif is_new packages "$identity"; then
        step "Installing dlcli $version with TensorFlow's CUDA libraries and Jupyter: several minutes"
        # the same version may have other content
        "$venv/bin/python" -m pip uninstall -y dlcli
        "$venv/bin/python" -m pip install --progress-bar off "$wanted" jupyterlab |
            while read -r line; do
                echo "$line"
                if [[ $line =~ ^Downloading.*\(([0-9]{3,}\.[0-9]\ MB|.*\ GB)\) ]] ||
                    [[ $line == 'Installing collected packages'* ]]; then
                    echo "  ${line:0:90}" >&3 || true
                fi
            done
        "$venv/bin/dl" --version
        is_done packages "$identity"
    fi
    ln -sf "$venv/bin/dl" "$HOME/.local/bin/dl"
}

# user_service NAME: install the unit from standard input. It restarts the service only if the unit
# changed, for a restart of Jupyter ends its kernels.
user_service() {
    local unit
    unit=$(cat)
    if [ "$(cat "$units/$1.service" 2>/dev/null)" != "$unit" ]; then
        echo "$unit" >"$units/$1.service"
        systemctl --user daemon-reload
        systemctl --user enable "$1.service"
        systemctl --user restart "$1.service"
    elif ! systemctl --user is-active --quiet "$1.service"; then
        systemctl --user enable "$1.service"
        systemctl --user restart "$1.service"
    fi
}

services() {
    step 'Starting Jupyter and TensorBoard on localhost'
    # without this a user's services end with the login
    sudo -n loginctl enable-linger "$(id -un)"
    user_service dl-jupyter <<'END_OF_UNIT'
[Unit]
Description=JupyterLab on localhost

[Service]
ExecStart=%h/.dl/venv/bin/jupyter lab --no-browser --ip=127.0.0.1 --port=8888 --ServerApp.port_retries=0
Environment=PATH=%h/.dl/venv/bin:%h/.local/bin:/usr/local/bin:/usr/bin:/bin
WorkingDirectory=%h
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
END_OF_UNIT
    user_service dl-tensorboard <<'END_OF_UNIT'
[Unit]
Description=TensorBoard on localhost

[Service]
ExecStart=%h/.dl/venv/bin/tensorboard --logdir %h/runs --host 127.0.0.1 --port 6006
WorkingDirectory=%h
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
END_OF_UNIT
}

own_script() {
    local script=$here/own-bootstrap identity
    if [ ! -e "$script" ]; then return; fi
    identity=$(sha256sum <"$script")
    if is_new own-script "$identity"; then
        step 'Running your own bootstrap script'
        chmod +x "$script"
        (cd "$HOME" && PATH="$venv/bin:$HOME/.local/bin:$PATH" "$script" 9>&-)
        is_done own-script "$identity"
    fi
}

main() {
    version=$1 wheel=$2
    trap '' HUP PIPE
    mkdir -p "$here" "$units" "$HOME/.local/bin" "$HOME/runs"
    exec 3>&1 >>"$log" 2>&1 </dev/null
    trap ended EXIT
    # a second setup waits, then finds everything done
    exec 9>"$here/bootstrap.lock"
    if ! flock -n 9; then
        step 'Waiting for another setup of this box to end'
        flock 9
    fi
    system_packages
    make_venv
    install_packages
    services
    own_script
    step 'The box is set up'
}

case $1 in
    start) shift && start "$@" ;;
    follow) follow "$2" "$3" ;;
    *) main "$@" ;;
esac
