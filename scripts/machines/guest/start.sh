#!/bin/busybox sh
# The first program of a machine: finds its disks, puts the project on the first and goes there.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in /modules/*.ko; do
    insmod "$module" || echo "MACHINE: $module was refused"
done
tries=0
until [ -b /dev/vdc ] || [ $tries = 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
mount -t ext4 /dev/vda /root || poweroff -f
tar -x -f /dev/vdb -C /root/srv || poweroff -f
for place in proc sys dev; do
    mount --move /$place /root/$place
done
exec switch_root /root /bin/busybox sh /srv/run.sh
