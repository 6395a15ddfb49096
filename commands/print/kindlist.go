package print

import (
	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/commands/event"
)

// resultKinds is what requests bring.
func resultKinds() []kind {
	return []kind{
		of("transfer", "A request succeeded.",
			must("verb", Text, "read, wrote, discard or, in the background, discarded", func(e event.Transfer) any { return string(e.Verb) }),
			must("offset", Int, "first byte", func(e event.Transfer) any { return e.Off }),
			must("length", Int, "bytes that were done", func(e event.Transfer) any { return e.Done }),
			must("requested", Int, "bytes that were asked for", func(e event.Transfer) any { return e.Count }),
			must("ops", Int, "requests", func(e event.Transfer) any { return e.Ops }),
			must("elapsed_ns", Int, "time that the device took, in nanoseconds", func(e event.Transfer) any { return e.Elapsed.Nanoseconds() }),
		),
		of("dump", "Bytes that were read, as -v asks. Long dumps come in several objects.",
			must("offset", Int, "first byte", func(e event.Dump) any { return e.Off }),
			must("data", Base64, "the bytes", func(e event.Dump) any { return e.Data }),
			may("zeroes", Int, "how many zeroes follow them that were not read", func(e event.Dump) any { return count(e.Zeroes) }),
		),
		failure("mismatch", "The data are not what -P asked for.",
			must("offset", Int, "of the range that was checked", func(e event.Mismatch) any { return e.Off }),
			must("length", Int, "of that range", func(e event.Mismatch) any { return e.Len }),
			may("detail", Object, "what differs: offset of the first wrong byte, number of bad ones, ranges with their causes, and both sides in hex",
				func(e event.Mismatch) any {
					if e.Detail == nil {
						return nil
					}
					return e.Detail
				}),
		),
		of("injected", "A request was counted as invalid and not made, as -i asks.",
			must("op", Text, "read or write", func(e event.Injected) any { return e.Op })),
		of("alloc", "How much of a range is allocated.",
			must("offset", Int, "first byte", func(e event.Alloc) any { return e.Off }),
			must("length", Int, "bytes that were looked at", func(e event.Alloc) any { return e.Count }),
			must("allocated", Int, "bytes of them that the image holds itself", func(e event.Alloc) any { return e.Allocated }),
			must("data", Int, "bytes of them that have storage, here or in an image below", func(e event.Alloc) any { return e.Data }),
			must("zero", Int, "bytes of them that are known to read as zeroes", func(e event.Alloc) any { return e.Zero }),
			may("untold", Int, "of the data: bytes of which a device does not tell whether they have storage",
				func(e event.Alloc) any { return count(e.Untold) }),
		),
		of("map", "A run of bytes in one state.",
			must("offset", Int, "first byte", func(e event.MapRun) any { return e.Extent.Off }),
			must("length", Int, "bytes", func(e event.MapRun) any { return e.Len }),
			must("allocated", Bool, "whether the image holds them itself", func(e event.MapRun) any { return e.Allocated }),
			must("data", Bool, "whether there is storage behind them", func(e event.MapRun) any { return e.Data }),
			must("zero", Bool, "whether they are known to read as zeroes", func(e event.MapRun) any { return e.Zero }),
			may("untold", Bool, "whether a device does not tell if there is storage", func(e event.MapRun) any { return flag(e.Untold) }),
			may("compressed", Bool, "whether they are compressed", func(e event.MapRun) any { return flag(e.Compressed) }),
			must("depth", Int, "which image of the backing chain holds them, 0 for the top", func(e event.MapRun) any { return e.Depth }),
			may("host_offset", Int, "where they are in the file", func(e event.MapRun) any {
				if e.HostOff < 0 || !e.Data {
					return nil
				}
				return e.HostOff
			}),
		),
		of[event.MapEmpty]("map_empty", "The image is empty."),
		of("length", "How long the image is.",
			must("bytes", Int, "length", func(e event.Length) any { return e.Bytes })),
		of("zone", "A zone of a zoned device; all places in bytes.",
			must("start", Int, "first byte", func(e event.Zone) any { return e.Start }),
			must("length", Int, "bytes", func(e event.Zone) any { return e.Length }),
			must("capacity", Int, "bytes that can be written", func(e event.Zone) any { return e.Capacity }),
			must("write_pointer", Int, "where the next write goes", func(e event.Zone) any { return e.WritePointer }),
			must("condition", Int, "number of the state, as the kernel has it", func(e event.Zone) any { return int(e.Condition) }),
			must("type", Int, "number of the type, as the kernel has it", func(e event.Zone) any { return int(e.Type) }),
		),
		of("zone_appended", "Where an append to a zone landed.",
			must("offset", Int, "first byte", func(e event.Appended) any { return e.Off })),
		of("created", "An image file was made.",
			must("path", Path, "its name", func(e event.Created) any { return e.Path }),
			must("format", Text, "its format", func(e event.Created) any { return e.Format }),
			may("size", Int, "bytes, unless it is that of the backing file", func(e event.Created) any {
				if e.Size < 0 {
					return nil
				}
				return e.Size
			}),
		),
		of("checked", "What a check found in the metadata of an image.",
			must("corruptions", Int, "errors that are left", func(e event.Checked) any { return e.Corruptions }),
			must("leaks", Int, "clusters that nothing refers to, left", func(e event.Checked) any { return e.Leaks }),
			must("check_errors", Int, "places that could not be checked", func(e event.Checked) any { return e.CheckErrors }),
			must("corruptions_fixed", Int, "errors that were repaired", func(e event.Checked) any { return e.CorruptionsFixed }),
			must("leaks_fixed", Int, "leaks that were repaired", func(e event.Checked) any { return e.LeaksFixed }),
			must("image_end", Int, "offset behind the last cluster in use", func(e event.Checked) any { return e.ImageEnd }),
			must("clusters", Int, "of the guest's length", func(e event.Checked) any { return e.TotalClusters }),
			must("allocated_clusters", Int, "of them", func(e event.Checked) any { return e.AllocatedClusters }),
			must("fragmented_clusters", Int, "of those", func(e event.Checked) any { return e.FragmentedClusters }),
			must("compressed_clusters", Int, "of those", func(e event.Checked) any { return e.CompressedClusters }),
			may("messages", Texts, "what was found or repaired, a line each", func(e event.Checked) any { return texts(e.Messages) }),
		),
	}
}

// imageFields describe an open image.
func imageFields[E event.Event](image func(e E) event.Image, more ...fieldOf[E]) []fieldOf[E] {
	return append([]fieldOf[E]{
		may("name", Text, "of the image in the shell", func(e E) any { return text(image(e).Name) }),
		may("path", Path, "of the image, as it was given", func(e E) any { return text(image(e).Path) }),
		must("format", Text, "name of the driver", func(e E) any { return image(e).Format }),
		must("size", Int, "bytes", func(e E) any { return image(e).Size }),
		must("read_only", Bool, "whether it was opened without permission to write", func(e E) any { return image(e).ReadOnly }),
		may("backing", List, "the backing files, the nearest first: path, format, size, read_only", func(e E) any { return layers(image(e).Backing) }),
	}, more...)
}

// shellKinds is what the shell tells of itself and of its images.
func shellKinds() []kind {
	return []kind{
		of("opened", "An image was opened.", imageFields(func(e event.Opened) event.Image { return e.Image })...),
		of("image", "One of the open images.", imageFields(func(e event.Listed) event.Image { return e.Image },
			must("current", Bool, "whether commands go to it", func(e event.Listed) any { return e.Current }),
			must("in_flight", Int, "requests in the background", func(e event.Listed) any { return e.InFlight }),
		)...),
		of("info", "What the current image is.", imageFields(func(e event.Info) event.Image { return e.Image },
			must("block_size", Int, "unit of requests of the storage, in bytes", func(e event.Info) any { return e.Block }),
			may("cluster_size", Int, "unit of allocation of the format, in bytes", func(e event.Info) any { return positive(e.Cluster) }),
			may("vm_state_offset", Int, "where the area for machine state begins, in bytes", func(e event.Info) any { return positive(e.VMState) }),
			may("format_specific", Object, "what the format tells of itself", func(e event.Info) any {
				if m := details(e.FormatSpecific); m != nil {
					return m
				}
				return nil
			}),
		)...),
		of("suspended", "A request stopped at a breakpoint.", must("tag", Text, "of the breakpoint", noticeTag)),
		of("resumed", "A request went on from a breakpoint.", must("tag", Text, "of the breakpoint", noticeTag)),
		of("warning", "Something a person should see.", must("text", Text, "a sentence", func(e event.Notice) any {
			w, _ := e.Notice.(driver.Warning)
			return w.Text
		})),
		of("bitmaps_retired", "Dirty bitmaps of an image could not be kept up to date while it changed.",
			must("names", Texts, "of the bitmaps that are marked as in use", func(e event.Notice) any { return append([]string{}, retired(e).Names...) }),
			may("error", Text, "why all of them were removed instead", func(e event.Notice) any {
				if err := retired(e).Err; err != nil {
					return words(err)
				}
				return nil
			}),
		),
		of("device_busy", "A device is read while others use it, so that its data may move.",
			must("path", Path, "of the device", func(e event.DeviceBusy) any { return e.Path }),
			must("uses", Texts, "such as \"/dev/sda1 is mounted on /home\"", func(e event.DeviceBusy) any { return e.Uses }),
		),
		of[event.InputIgnored]("input_ignored", "Standard input has bytes that no command read, although one wrote and was not told what."),
		of("version", "Which program this is.",
			must("version", Text, "of the program", func(e event.Version) any { return e.Version }),
			must("go", Text, "of the language it was built with", func(e event.Version) any { return e.Go }),
			may("revision", Text, "of the source", func(e event.Version) any { return text(e.Revision) }),
			must("os", Text, "it was built for", func(e event.Version) any { return e.OS }),
			must("arch", Text, "it was built for", func(e event.Version) any { return e.Architecture }),
			must("schema", Int, "version of this JSON", func(event.Version) any { return SchemaVersion }),
		),
		of("capabilities", "What this program can do.",
			must("commands", List, "name, alias and flags of each", func(e event.Capabilities) any { return commandList(e.Commands) }),
			must("drivers", List, "name, kind and whether it creates images", func(e event.Capabilities) any { return driverList(e.Drivers) }),
			must("dialects", Texts, "values of --dialect", func(e event.Capabilities) any { return e.Dialects }),
			must("patterns", Texts, "forms of -P", func(e event.Capabilities) any { return e.Patterns }),
			must("schema", Int, "version of this JSON", func(event.Capabilities) any { return SchemaVersion }),
		),
		of("exit", "The end of a run, always the last object.",
			must("status", Int, "exit status", func(e event.Exit) any { return e.Status }),
			must("schema", Int, "version of this JSON", func(event.Exit) any { return SchemaVersion }),
		),
		of("synopsis", "How a command is called.",
			must("name", Text, "of the command", func(e event.Synopsis) any { return e.Name }),
			may("args", Text, "flags and operands", func(e event.Synopsis) any { return text(e.Args) }),
			must("short", Text, "what it does", func(e event.Synopsis) any { return e.Short }),
		),
		of("help_list", "The list of commands is complete.",
			may("topics", Texts, "what else there is help on", func(e event.HelpList) any { return texts(e.Topics) })),
		of("help", "Help on a command or a topic.", must("text", Text, "several lines", func(e event.HelpBody) any { return e.Text })),
		of("hex_suffix", "A hex number has a multiplier.", must("word", Text, "as typed", func(e event.HexSuffix) any { return e.Word })),
		of("short_option", "An option stands without a value, which means on, or with \"no\" in front for off.",
			must("word", Text, "as typed", func(e event.ShortOption) any { return e.Word })),
	}
}

func positive(n int64) any {
	if n <= 0 {
		return nil
	}
	return n
}

// retired is the notice of a "bitmaps_retired".
func retired(e event.Notice) driver.BitmapsRetired {
	n, _ := e.Notice.(driver.BitmapsRetired)
	return n
}

func noticeTag(e event.Notice) any {
	switch n := e.Notice.(type) {
	case driver.Suspended:
		return n.Tag
	case driver.Resumed:
		return n.Tag
	}
	return ""
}

func commandList(commands []event.CommandInfo) any {
	type command struct {
		Name  string   `json:"name"`
		Alias string   `json:"alias,omitempty"`
		Flags []string `json:"flags"`
	}
	list := make([]command, 0, len(commands))
	for _, c := range commands {
		list = append(list, command{c.Name, c.Alias, append([]string{}, c.Flags...)})
	}
	return list
}

func driverList(drivers []event.DriverInfo) any {
	type driver struct {
		Name    string `json:"name"`
		Kind    string `json:"kind"`
		Creates bool   `json:"creates"`
	}
	list := make([]driver, 0, len(drivers))
	for _, d := range drivers {
		list = append(list, driver(d))
	}
	return list
}

// failureKinds is why the block layer or the shell failed.
func failureKinds() []kind {
	return []kind{
		failure("failed", "A request failed.", caused(
			must("op", Text, "what it was", func(e event.Failed) any { return e.Op }))...),
		failure("open_failed", "An image could not be opened.", caused(
			may("path", Path, "as it was given", func(e event.OpenFailed) any { return text(e.Name) }))...),
		failure("report", "The block layer refused something that is no request.", caused[event.Report]()...),
		failure("file_error", "A file that is no image could not be used.", caused(
			must("path", Path, "of the file", func(e event.FileError) any { return e.Name }))...),
		failure("script_failed", "A script could not be read.", caused[event.ScriptFailed]()...),
		failure("break_failed", "A breakpoint could not be used.", caused(
			must("action", Text, "set, remove, resume or wait", func(e event.BreakFailed) any { return e.Action }),
			must("tag", Text, "of the breakpoint", func(e event.BreakFailed) any { return e.Tag }))...),
		failure("abandoned", "Requests that nothing can wake any more were given up.",
			must("requests", Int, "how many", func(e event.Abandoned) any { return e.Requests })),
		failure("interrupted", "A person stopped the command.",
			may("op", Text, "the command", func(e event.Interrupted) any { return text(e.Op) }),
			may("offset", Int, "first byte of its range", func(e event.Interrupted) any { return known(e, e.Off) }),
			may("length", Int, "bytes of its range", func(e event.Interrupted) any { return known(e, e.Len) }),
			may("done", Int, "bytes that were done, from the first on and without a gap", func(e event.Interrupted) any { return known(e, e.Done) }),
			may("resume", Int, "where --resume goes on", func(e event.Interrupted) any { return positive(e.Resume) }),
		),
		failure("close_failed", "An image could not be closed properly: what was written last may not be in it.", caused(
			may("name", Text, "of the image in the shell", func(e event.CloseFailed) any { return text(e.Name) }),
			may("path", Path, "of the image, as it was given", func(e event.CloseFailed) any { return text(e.Path) }))...),
		failure[event.Unexpected]("unexpected_success", "A command succeeded that had to fail."),
		failure("not_confirmed", "Nothing was done to a device since the answer was not its name.",
			must("path", Path, "of the device", func(e event.NotConfirmed) any { return e.Path })),
	}
}

// usageKinds is what is wrong with a line that was typed.
func usageKinds() []kind {
	return []kind{
		failure("unknown_command", "There is no such command.",
			must("name", Text, "as typed", func(e event.UnknownCommand) any { return e.Name }),
			may("near", Texts, "commands that may be meant", func(e event.UnknownCommand) any { return texts(e.Near) })),
		failure("help_unknown", "There is no help on that.",
			must("name", Text, "as typed", func(e event.HelpUnknown) any { return e.Name }),
			may("near", Texts, "commands that may be meant", func(e event.HelpUnknown) any { return texts(e.Near) })),
		failure[event.NoFile]("no_file", "The command needs an open image."),
		failure[event.FileOpen]("file_open", "An image is open already."),
		failure("no_image", "No image has that name.",
			must("name", Text, "as typed", func(e event.NoImage) any { return e.Name })),
		failure("bad_count", "Too many or too few words.",
			must("name", Text, "of the command, as typed", func(e event.BadCount) any { return e.Name }),
			must("given", Int, "words after the name", func(e event.BadCount) any { return e.Given }),
			must("min", Int, "fewest", func(e event.BadCount) any { return e.Min }),
			must("max", Int, "most, -1 for no limit", func(e event.BadCount) any { return e.Max })),
		failure("usage", "The command was called in a wrong way.",
			must("name", Text, "of the command", func(e event.Usage) any { return e.Name }),
			may("args", Text, "flags and operands", func(e event.Usage) any { return text(e.Args) })),
		failure("bad_number", "An operand is no number.",
			must("command", Text, "its name", func(e event.BadNumber) any { return e.Command }),
			must("operand", Text, "what the number is for", func(e event.BadNumber) any { return e.Operand }),
			must("word", Text, "as typed", func(e event.BadNumber) any { return e.Word })),
		failure[event.BadValue]("bad_value", "A value makes no sense."),
		failure[event.Conflict]("conflict", "Flags do not go together, or one wants another."),
		failure("unaligned", "A number is no multiple of a sector.",
			must("operand", Text, "what it is for", func(e event.Unaligned) any { return e.Operand }),
			must("value", Int, "the number", func(e event.Unaligned) any { return e.Value })),
		failure("too_long", "A length is above the largest request.",
			must("limit", Int, "bytes", func(e event.TooLong) any { return e.Limit })),
		failure("vec_too_long", "A length of several is too large.",
			must("limit", Int, "bytes", func(e event.VecTooLong) any { return e.Limit })),
	}
}
