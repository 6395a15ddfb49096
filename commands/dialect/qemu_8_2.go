package dialect

// qemu82 is qemu-io of QEMU 8.2.
func qemu82() Dialect {
	d := qemu()
	d.Program.Version = version("8.2.7")
	return d
}
