// Command textparse says what Prometheus's own parsers read in exposition pages: the textparse of
// the server, and expfmt of the client libraries. It is the oracle of differential tests.
//
// On stdin a request is: length of the content type (four bytes, big endian), content type, length
// of the page (likewise), page. On stdout each has one line of JSON (answer). The content type
// "number" asks what Go's strconv.ParseFloat makes of the page, and "pages" for pages written by
// client_golang; the page is then the seed, in decimal.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	for {
		contentType, page, err := request(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fatal(err)
		}
		if err := encoder.Encode(answerTo(string(contentType), page)); err != nil {
			fatal(err)
		}
		// The other side asks the next when it has this, or sends many at once.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				fatal(err)
			}
		}
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "textparse:", err)
	os.Exit(1)
}

func answerTo(contentType string, page []byte) any {
	switch contentType {
	case "number":
		return number(string(page))
	case "pages":
		return pages(string(page))
	}
	return answer{Textparse: byTextparse(contentType, page), Expfmt: byExpfmt(contentType, page)}
}

func request(in io.Reader) (contentType, page []byte, err error) {
	if contentType, err = part(in); err != nil {
		return nil, nil, err
	}
	if page, err = part(in); err != nil {
		return nil, nil, fmt.Errorf("reading the page: %v", err)
	}
	return contentType, page, nil
}

func part(in io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	bytes := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(in, bytes)
	return bytes, err
}
