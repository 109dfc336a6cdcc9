// Takes 127.0.0.1:PORT for NAME, trusting ROOT alone. Status 0: it passes; 1: the certificate is refused.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	root, err := os.ReadFile(os.Args[3])
	if err != nil {
		panic(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(root) {
		panic("no certificate in " + os.Args[3])
	}
	plain, err := net.Dial("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		panic(err)
	}
	err = tls.Client(plain, &tls.Config{RootCAs: trusted, ServerName: os.Args[1]}).Handshake()
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		fmt.Println("passes")
	case errors.As(err, &invalid), errors.As(err, &host), errors.As(err, &unknown):
		fmt.Println("refused:", err)
		os.Exit(1)
	default:
		panic(err)
	}
}
