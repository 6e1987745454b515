#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Grafana's foundation SDK for Go, v0.0.22: the strict reader of a dashboard never returns nil.
#
# A good guess: UnmarshalJSONStrict gives nil for a dashboard that is right, and fills the value as
# UnmarshalJSON does. Seen: for the smallest right dashboard, and for one that the SDK's own builder
# made, the error is not nil. It is a nil slice of errors within an error interface: it prints as
# nothing, and `if err != nil` takes it for a fault. The SDK takes it for one itself where panels are
# read: they are left out, so that Validate, called after it, judges a dashboard without panels. What
# helps: errors.As into cog.BuildErrors and its length; another UnmarshalJSON for Validate.
#
# Output seen:
#   smallest: strict error is nil: false, it says "", faults in it: 0
#   built: strict error is nil: false, it says "", faults in it: 0
#   built: panels read by UnmarshalJSON 1, by UnmarshalJSONStrict 0
#   misspelt: faults in it: 1
#
# Needs Go 1.22 or newer and 10 MB of its module proxy.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go << 'EOF'
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/text"
)

func expect(right bool, what string) {
	if !right {
		fmt.Println("CHANGED:", what)
		os.Exit(1)
	}
}

func strict(name string, data []byte) (dashboard.Dashboard, int) {
	var found dashboard.Dashboard
	err := found.UnmarshalJSONStrict(data)
	var faults cog.BuildErrors
	errors.As(err, &faults)
	if name != "" {
		fmt.Printf("%s: strict error is nil: %v, it says %q, faults in it: %d\n",
			name, err == nil, fmt.Sprint(err), len(faults))
		expect(err != nil && len(faults) == 0, "the error of what is right")
	}
	return found, len(faults)
}

// How many panels are there, of one kind or the other.
func panels(of dashboard.Dashboard) (count int) {
	for _, each := range of.Panels {
		if each.Panel != nil || each.RowPanel != nil {
			count++
		}
	}
	return count
}

func main() {
	plugins.RegisterDefaultPlugins()
	strict("smallest", []byte(`{"title": "x", "editable": true, "graphTooltip": 0,
		"schemaVersion": 41, "templating": {}, "annotations": {}}`))

	made, err := dashboard.NewDashboardBuilder("built").
		WithPanel(text.NewPanelBuilder().Title("a panel").Content("hello")).Build()
	expect(err == nil, "the builder")
	data, _ := json.Marshal(made)
	read, _ := strict("built", data)
	var lenient dashboard.Dashboard
	expect(json.Unmarshal(data, &lenient) == nil, "UnmarshalJSON")
	fmt.Printf("built: panels read by UnmarshalJSON %d, by UnmarshalJSONStrict %d\n",
		panels(lenient), panels(read))
	expect(panels(lenient) == 1 && panels(read) == 0, "the panels")

	_, faults := strict("", []byte(strings.Replace(string(data), `"title":"built"`,
		`"title":"built","titel":""`, 1)))
	fmt.Printf("misspelt: faults in it: %d\n", faults)
	expect(faults == 1, "the faults of what is wrong")
}
EOF
go mod init finding > /dev/null 2>&1
go get github.com/grafana/grafana-foundation-sdk/go@v0.0.22 > /dev/null 2>&1
go run .
