// SPDX-License-Identifier: Apache-2.0

// Command grafana-schema reads a dashboard from standard input and judges it by Grafana's own
// schema: unknown fields, missing ones, wrong types. It prints what is wrong, one a line.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins() // the schemas of queries and panels
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = judge(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(text []byte) error {
	// Its error is never nil, only empty: and what it has read is then incomplete.
	var errs cog.BuildErrors
	err := new(dashboard.Dashboard).UnmarshalJSONStrict(text)
	if !errors.As(err, &errs) || len(errs) > 0 {
		return err
	}
	var found dashboard.Dashboard
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	return found.Validate()
}
