// Command decode reads OTLP export requests with the collector's own types and writes back what it
// understood, so that a test can tell whether all decoders understand the same.
//
// On stdin and stdout a frame is: signal (one byte, 'm', 'l' or 't'), on stdout the number of items
// (four bytes, big endian), length (likewise), bytes. A request that cannot be read ends it with
// exit code 1.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for number := 0; ; number++ {
		err := frame(in, out)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			out.Flush()
			fmt.Fprintf(os.Stderr, "request %d: %v\n", number, err)
			os.Exit(1)
		}
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func frame(in io.Reader, out io.Writer) error {
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	request := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(in, request); err != nil {
		return fmt.Errorf("reading the frame: %v", err)
	}
	items, again, err := decode(head[0], request)
	if err != nil {
		return err
	}
	var written [9]byte
	written[0] = head[0]
	binary.BigEndian.PutUint32(written[1:], uint32(items))
	binary.BigEndian.PutUint32(written[5:], uint32(len(again)))
	if _, err := out.Write(written[:]); err != nil {
		return err
	}
	_, err = out.Write(again)
	return err
}

// decode reads a request and encodes what it read.
func decode(signal byte, request []byte) (items int, again []byte, err error) {
	switch signal {
	case 'm':
		decoded := pmetricotlp.NewExportRequest()
		if err = decoded.UnmarshalProto(request); err != nil {
			return 0, nil, err
		}
		again, err = decoded.MarshalProto()
		return decoded.Metrics().DataPointCount(), again, err
	case 'l':
		decoded := plogotlp.NewExportRequest()
		if err = decoded.UnmarshalProto(request); err != nil {
			return 0, nil, err
		}
		again, err = decoded.MarshalProto()
		return decoded.Logs().LogRecordCount(), again, err
	case 't':
		decoded := ptraceotlp.NewExportRequest()
		if err = decoded.UnmarshalProto(request); err != nil {
			return 0, nil, err
		}
		again, err = decoded.MarshalProto()
		return decoded.Traces().SpanCount(), again, err
	}
	return 0, nil, fmt.Errorf("unknown signal %q", signal)
}
