#!/usr/bin/env bash
# run.sh [--rehearse]: measures Kiln beside PyTorch on this machine's GPU, in at most 9 minutes.
#
# Each result is a small text file in $OUT (by default `results` beside this file), written when its step ends. The device
# is $KILN_DEVICE, or the best one. The exit status is 1 if a step failed or had no time left. --rehearse: a little of
# everything, on a software driver.
set -u
here=$(cd "$(dirname "$0")" && pwd)
OUT=${OUT:-$here/results}
began=$(date +%s)
limit=525 # seconds: what is running then is ended within the 9 minutes
seconds=0.3 steps=50 profiled=20 small=128 batch=32 epochs=2
check='' filter='' large=inception_v3 mnist=$here/mnist torch_device=cuda
if [ "${1:-}" = --rehearse ]; then
    seconds=0.01 steps=2 profiled=2 small=2 batch=2 epochs=1
    check=softmax filter=lenet.fc2 large=cifar10_simple mnist=$here/mnist-few torch_device=cpu
    export KILN_DEVICE=${KILN_DEVICE:-llvmpipe}
fi
mkdir -p "$OUT"
kiln=$here/kiln
failed=0

# A bare machine has no Vulkan loader, and none of the libraries of X that NVIDIA's driver loads. The machine's own
# libraries come first where they are installed in a folder of LD_LIBRARY_PATH.
libraries=$(mktemp -d)
for package in "$here"/packages/*.deb; do
    [ -f "$package" ] && dpkg -x "$package" "$libraries"
done
for folder in "$libraries"/usr/lib/*-linux-gnu; do
    [ -d "$folder" ] && export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
for icd in /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json; do
    [ -f "$icd" ] && [ -z "${VK_DRIVER_FILES:-}" ] && [ "${1:-}" != --rehearse ] && export VK_DRIVER_FILES=$icd
done
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$(mktemp -d)} XDG_CACHE_HOME=$(mktemp -d)
export XDG_RUNTIME_DIR XDG_CACHE_HOME

left() { echo $((limit - $(date +%s) + began)); }

# step NAME SECONDS COMMAND: runs it for at most so long, with its output in NAME.txt and NAME.err.
step() {
    local name=$1 most=$2 start status
    shift 2
    start=$(date +%s)
    if [ "$(left)" -lt 10 ]; then
        echo "== $name: no time left"
        failed=1
        return
    fi
    [ "$most" -gt "$(left)" ] && most=$(left)
    timeout -k 5 "$most" "$@" >"$OUT/$name.txt" 2>"$OUT/$name.err"
    status=$?
    [ "$status" -eq 0 ] || failed=1
    [ -s "$OUT/$name.err" ] || rm -f "$OUT/$name.err"
    echo "== $name: status $status after $(($(date +%s) - start)) s, $(left) s left"
    tail -n "${lines:-3}" "$OUT/$name.txt"
}

precision=float32
profile() {
    step "profile-$1-$precision" "$3" "$kiln" profile "$1" --precision "$precision" --batch-size "$2" --steps "$profiled" \
        --out "$OUT/profile-$1-$precision"
}
bench() { step "bench-$1" "$2" env KILN_TUNE="$1" "$kiln" bench ${filter:+"$filter"} --json --seconds "$seconds"; }
# In another folder than that of torch.py, which Python would import.
has_torch=$(cd / && python3 -c 'import torch' 2>/dev/null && echo yes)
torch() {
    if [ -z "$has_torch" ]; then
        echo "== torch-$1: skipped, python3 has no PyTorch"
        return
    fi
    lines=20 step "torch-$1" "$2" python3 "$here/torch.py" --train --device "$torch_device" --steps "$steps" \
        --inception-batch "$batch"
}

# What matters most comes first: the time may not suffice for everything.
nvidia-smi >"$OUT/nvidia-smi.txt" 2>&1
lines=12 step devices 15 "$kiln" devices
lines=4 step check 150 "$kiln" check ${check:+"$check"}
# 469 steps an epoch.
step train-lenet 60 "$kiln" train lenet --data "$mnist" --epochs "$epochs" --out "$OUT/lenet" --overwrite
step train-lenet-mixed 60 "$kiln" train lenet --data "$mnist" --epochs "$epochs" --precision mixed --out "$OUT/lenet-mixed" \
    --overwrite
step evaluate-lenet 20 "$kiln" evaluate "$OUT/lenet" --data "$mnist"
rm -f "$OUT"/lenet*/*.safetensors "$OUT"/lenet*/*.png
profile lenet "$small" 20
profile cifar10_deep "$small" 20
profile "$large" "$batch" 40
precision=mixed
profile lenet "$small" 20
profile cifar10_deep "$small" 20
profile "$large" "$batch" 40
bench off 90
torch 1 90
bench full 120
torch 2 90
bench cached 75
tar czf "$OUT/all.tar.gz" -C "$OUT" --exclude all.tar.gz . 2>/dev/null
rm -rf "$libraries"
echo "all: $(($(date +%s) - began)) s, $(du -sh "$OUT" | cut -f 1) in $OUT"
exit "$failed"
