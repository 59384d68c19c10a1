package agent

import (
	"errors"
	"syscall"
)

// errLocked is returned when another process holds the lock.
var errLocked = errors.New("locked")

// errorSharingViolation is Windows's ERROR_SHARING_VIOLATION.
const errorSharingViolation syscall.Errno = 32

// lockFile takes a lock that ends with the process, however that ends: the file is
// opened for nobody else.
func lockFile(path string) (unlock func(), err error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = syscall.CloseHandle(h) }, nil
}
