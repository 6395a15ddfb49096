package hostdevice

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Requests of <linux/cdrom.h>.
const (
	cdromDriveStatus = 0x5326
	currentSlot      = 0x7fffffff
	discOK           = 4
)

// Scores of paths. A drive for discs is also a block device, so the special driver scores higher.
const (
	scoreDevice = 90
	scoreDrive  = 100
	scoreName   = 50 // it is only called like a drive
)

func probeDevice(path string) int {
	if strings.HasPrefix(path, "/dev/cdrom") {
		return scoreName
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode()&os.ModeDevice == 0 {
		return 0
	}
	return scoreDevice
}

// probeCDROM asks a block device whether it knows what is in its tray.
func probeCDROM(path string) int {
	st, err := os.Stat(path)
	if err != nil || st.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return 0
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	if _, ok := driveStatus(fd); !ok {
		return 0
	}
	return scoreDrive
}

// driveStatus is what a drive says of its tray; ok is false for what is no drive. The argument is a
// number and no address, so this does not go through ioctl.
func driveStatus(fd int) (status int, ok bool) {
	r, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), cdromDriveStatus, currentSlot)
	return int(r), no == 0
}

func mediumPresent(fd int) bool {
	status, ok := driveStatus(fd)
	return ok && status == discOK
}
