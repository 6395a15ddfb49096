package args

import "strings"

// Type is what sort of thing a word stands for.
type Type uint8

// The types.
const (
	TypeText      Type = iota // any word
	TypeNumber                // one that Native, or the grammar of another dialect, reads
	TypeSize                  // a number of bytes
	TypePattern               // what -P takes
	TypeEnum                  // one of the words that are listed
	TypeFile                  // the name of a file
	TypeDir                   // the name of a directory
	TypeImage                 // the name of an image that is open
	TypeImageFile             // the same, or the name of a file with an image
	TypeFormat                // the name of a driver of a format
	TypeCommand               // the name of a command
	TypeTopic                 // the name of whatever there is help on
)

// Names says whether words of the type are names of files or images, which are never empty.
func (t Type) Names() bool { return t >= TypeFile && t <= TypeImageFile }

// Value is what the value of a flag, or an operand, may be: completion in every shell, help, the
// manual and checks read it. The zero Value is that of a flag without a value.
type Value struct {
	Name string // what help calls it
	Type Type
	// Words are all that a TypeEnum may be, or with More the usual ones. It is called when somebody
	// asks.
	Words func() []string
	More  bool
}

// Values of each type that has a name of its own.
var (
	File      = Value{Name: "FILE", Type: TypeFile}
	Dir       = Value{Name: "DIR", Type: TypeDir}
	Image     = Value{Name: "NAME", Type: TypeImage}
	ImageFile = Value{Name: "FILE", Type: TypeImageFile}
	Format    = Value{Name: "FORMAT", Type: TypeFormat}
	Command   = Value{Name: "COMMAND", Type: TypeCommand}
	Topic     = Value{Name: "COMMAND", Type: TypeTopic}
)

// Text is any word.
func Text(name string) Value { return Value{Name: name} }

// Enum is one of some words.
func Enum(name string, words func() []string) Value {
	return Value{Name: name, Type: TypeEnum, Words: words}
}

// Usually is one of some words, or another that the flag understands.
func Usually(name string, words func() []string) Value {
	return Value{Name: name, Type: TypeEnum, Words: words, More: true}
}

// Help is a help text about the value, with the words that it may be.
func (v Value) Help(text string) string {
	if v.Type != TypeEnum {
		return text
	}
	if text != "" {
		text += ": "
	}
	return text + Alternatives(v.Words())
}

// Alternatives are words as in "a, b or c".
func Alternatives(words []string) string { return Listed(words, "or") }

// Listed are words as in "a, b and c", where and is the word before the last one.
func Listed(words []string, and string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}
