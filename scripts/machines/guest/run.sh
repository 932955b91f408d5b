# The second program of a machine: makes the surroundings that its job asks for, runs the programs
# in them, leaves what they said on the third disk and turns the machine off.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8
. /srv/job

results=/run/results
groups=/sys/fs/cgroup

say() {
    echo "MACHINE: $*"
}

surroundings() {
    busybox --install -s /bin 2>/dev/null
    mount -t tmpfs -o mode=755 none /run
    mkdir -p $results /dev/pts /dev/shm
    mount -t devpts none /dev/pts
    mount -t tmpfs -o mode=1777 none /dev/shm
    mount -t securityfs none /sys/kernel/security
    chmod 1777 /tmp
    hostname machine
    ip link set lo up
    [ "$(stat -c %u /usr/bin)" = 0 ] || chown -R 0:0 /usr /etc /srv
    packages=$(echo /usr/local/lib/python3.*/dist-packages)
    cp -r /srv/site/. "$packages/"
    if [ -b /dev/vdd ]; then
        mkswap /dev/vdd >/dev/null && swapon /dev/vdd
    fi
    if [ "$user" = user ]; then
        chown -R 1000:1000 /srv/project
    fi
    mount_groups
    for setting in $sysctls; do
        set_sysctl "$setting"
    done
}

mount_groups() {
    case $control_groups in
    none) ;;
    v1)
        mount -t tmpfs none $groups
        for kind in memory pids; do
            mkdir $groups/$kind
            mount -t cgroup -o $kind none $groups/$kind || say "no control group of version 1: $kind"
        done
        ;;
    *)
        mount -t cgroup2 none $groups
        echo "+memory +pids" >$groups/cgroup.subtree_control
        mkdir $groups/user
        echo "+memory +pids" >$groups/user/cgroup.subtree_control
        ;;
    esac
}

set_sysctl() {
    sysctl -q -w "$1" || say "sysctl $1 was refused"
}

# Make a folder and hand it over to the user, as systemd does it.
hand_over() {
    mkdir "$1"
    chown 1000:1000 "$1" "$1/cgroup.procs" "$1/cgroup.threads" "$1/cgroup.subtree_control"
}

# run NAME SECONDS COMMAND...: as the user of this machine, in a control group of its own
run() {
    name=$1 limit=$2
    shift 2
    say "$name"
    place=$groups/cgroup.procs named=
    folder=$groups/user/$name
    case $control_groups in
    v2-foreign)
        mkdir "$folder"
        place=$folder/cgroup.procs
        ;;
    v2-scope)
        hand_over "$folder"
        place=$folder/cgroup.procs
        ;;
    v2-named)
        hand_over "$folder"
        echo "+memory +pids" >"$folder/cgroup.subtree_control"
        hand_over "$folder/inside"
        hand_over "$folder/empty"
        place=$folder/inside/cgroup.procs
        named=$folder/empty
        ;;
    esac
    [ -e "$place" ] || place=/dev/null
    timeout -k 10 "$limit" python3 -I -S /srv/enter.py "$user" "$place" "$named" "$@" \
        >"$results/$name.out" 2>"$results/$name.err"
    echo $? >"$results/$name.status"
}

surroundings
run doctor 600 python3 -m rlm_core.cli doctor --json
run doctor-text 600 python3 -m rlm_core.cli doctor
if [ -n "$remedy" ]; then
    say "the remedy: $remedy"
    broken=$sysctls
    set_sysctl "$remedy"
    run doctor-after 600 python3 -m rlm_core.cli doctor --json
    for setting in $broken; do
        set_sysctl "$setting"
    done
fi
run audit "$seconds" python3 -m rlm_core.cli audit --json $classes
if [ -n "$tests" ]; then
    cd /srv/project || exit
    run tests "$seconds" python3 -P -m pytest --import-mode=append -p no:cacheprovider \
        -m "not slow" -q --junitxml=/srv/project/tests.xml $tests
    mv /srv/project/tests.xml $results/ 2>/dev/null
fi
dmesg >$results/kernel.log
say "done"
tar -c -f /dev/vdc -C $results .
sync
poweroff -f
