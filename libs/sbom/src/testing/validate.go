// Reads an SPDX document with SPDX's own library for Go, checks it, and prints what it found.
package main

import (
	"fmt"
	"os"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
)

func main() {
	if err := validate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func validate(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	document, err := json.Read(file)
	if err != nil {
		return err
	}
	if err := spdxlib.ValidateDocument(document); err != nil {
		return err
	}
	fmt.Println(document.SPDXVersion, document.DocumentNamespace)
	for _, one := range document.Packages {
		fmt.Println("package", one.PackageName, one.PackageVersion, one.PrimaryPackagePurpose)
		for _, reference := range one.PackageExternalReferences {
			fmt.Println("reference", reference.Category, reference.RefType, reference.Locator)
		}
	}
	for _, one := range document.Relationships {
		fmt.Println("relationship", one.RefA.ElementRefID, one.Relationship, one.RefB.ElementRefID)
	}
	return nil
}
