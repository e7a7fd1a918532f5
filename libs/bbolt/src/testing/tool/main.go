// The oracle of write-bolt.test.ts: `list FILE` and `change FILE` with go.etcd.io/bbolt itself.
package main

import (
	"fmt"
	"log"
	"os"

	bolt "go.etcd.io/bbolt"
)

func main() {
	log.SetFlags(0)
	db, err := bolt.Open(os.Args[2], 0o600, &bolt.Options{ReadOnly: os.Args[1] == "list"})
	must(err)
	if os.Args[1] == "change" {
		change(db)
	}
	must(db.View(func(tx *bolt.Tx) error {
		for fault := range tx.Check() {
			log.Fatal(fault)
		}
		if os.Args[1] == "list" {
			return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return list(fmt.Sprintf("%x/", name), b) })
		}
		return nil
	}))
	must(db.Close())
}

func list(path string, b *bolt.Bucket) error {
	fmt.Printf("%s %d\n", path, b.Sequence())
	return b.ForEach(func(key, value []byte) error {
		if value == nil {
			return list(fmt.Sprintf("%s%x/", path, key), b.Bucket(key))
		}
		fmt.Printf("%s%x = %x\n", path, key, value)
		return nil
	})
}

// A value that was taken away, and the buckets on the way to it.
type taken struct {
	way        [][]byte
	key, value []byte
}

// Takes every second value of every bucket away beside a bucket of its own, and puts them back, in four transactions.
func change(db *bolt.DB) {
	var all []taken
	own := []byte("added by bbolt")
	must(db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(own)
		must(err)
		return b.Put(own, make([]byte, 5000))
	}))
	must(db.Update(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			if string(name) != string(own) {
				take(b, [][]byte{clone(name)}, &all)
			}
			return nil
		})
	}))
	must(db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(own) }))
	must(db.Update(func(tx *bolt.Tx) error {
		for _, one := range all {
			b := tx.Bucket(one.way[0])
			for _, name := range one.way[1:] {
				b = b.Bucket(name)
			}
			must(b.Put(one.key, one.value))
		}
		return nil
	}))
}

func take(b *bolt.Bucket, way [][]byte, all *[]taken) {
	var values, buckets [][]byte
	must(b.ForEach(func(key, value []byte) error {
		if value == nil {
			buckets = append(buckets, clone(key))
		} else {
			values = append(values, clone(key))
		}
		return nil
	}))
	for i := 0; i < len(values); i += 2 {
		*all = append(*all, taken{way, values[i], clone(b.Get(values[i]))})
		must(b.Delete(values[i]))
	}
	for _, name := range buckets {
		take(b.Bucket(name), append(append([][]byte{}, way...), name), all)
	}
}

func clone(b []byte) []byte { return append([]byte{}, b...) }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
