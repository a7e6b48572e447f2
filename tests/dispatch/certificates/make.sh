#!/bin/sh
# Makes the certificates of this folder anew; the authority's key does not outlive the script.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $key -keyout "$work/authority.key" -out authority.pem -days 36500 \
  -subj "/CN=Cronbell test authority" -addext "keyUsage=critical,keyCertSign"

: > "$work/index"
cat > "$work/ca.cnf" <<END
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
certificate = authority.pem
private_key = $work/authority.key
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
END

issue() { # name, subjectAltName, last day
  openssl req $key -keyout "$work/$1.key" -out "$work/$1.csr" -subj "/CN=$1"
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' "$2" > "$work/ext"
  openssl ca -batch -notext -config "$work/ca.cnf" -extfile "$work/ext" \
    -startdate 20200101000000Z -enddate "$3" -in "$work/$1.csr" -out "$work/$1.pem"
  cat "$work/$1.pem" "$work/$1.key" > "$1.pem"
}

issue good IP:127.0.0.1,DNS:localhost 21200101000000Z
issue elsewhere DNS:elsewhere.example 21200101000000Z
issue expired IP:127.0.0.1 20210101000000Z
