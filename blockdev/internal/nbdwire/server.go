package nbdwire

import (
	"encoding/binary"
	"io"
)

// GreetClient sends the greeting of a fixed newstyle server and reads the answer. noZeroes says
// whether the client does without the padding behind the answer to OptExportName, and fixed whether
// it knows more than that option.
func GreetClient(rw io.ReadWriter) (fixed, noZeroes bool, err error) {
	b := binary.BigEndian.AppendUint64(nil, magicInit)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint16(b, flagFixedNewstyle|flagNoZeroes)
	if _, err := rw.Write(b); err != nil {
		return false, false, err
	}
	var answer [4]byte
	if err := readFull(rw, answer[:], "client flags"); err != nil {
		return false, false, err
	}
	flags := binary.BigEndian.Uint32(answer[:])
	if flags&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return false, false, protocolError("client flags 0x%x", flags)
	}
	return flags&flagFixedNewstyle != 0, flags&flagNoZeroes != 0, nil
}

// AppendExportName adds the answer to OptExportName to b, which begins the transmission.
func AppendExportName(b []byte, e Export, noZeroes bool) []byte {
	b = binary.BigEndian.AppendUint64(b, e.Size)
	b = binary.BigEndian.AppendUint16(b, uint16(e.Flags))
	if !noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	return b
}
