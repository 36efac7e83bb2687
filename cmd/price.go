package cmd

import (
	"cmp"
	"fmt"
	"math"
	"os"

	"github.com/mraws/mraws/configs"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/price"
)

// rates are the prices of the region that the bucket is in. A bucket that is not on AWS
// has those of [price.Default]: what the job would cost on S3.
func (s *session) rates(st *store) (*price.Rates, error) {
	file := s.conf.Prices
	data, err := configs.Prices, error(nil)
	if file != "" {
		if data, err = os.ReadFile(file); err != nil {
			return nil, usagef("", "read the prices: %w", err)
		}
	}
	table, err := price.Parse(data)
	if err != nil {
		return nil, usagef("configs/prices.json shows what such a file has", "prices %s: %w", cmp.Or(file, "of the program"), err)
	}
	region := price.Default
	if !st.Embedded && s.conf.Endpoint == "" {
		region = st.Region()
	}
	r := table.Of(region)
	if r.Missing != "" && !s.pricesNoted {
		s.pricesNoted = true
		s.note("the table of prices has no region %s: its requests are priced as in %s; --prices FILE names another table", r.Missing, r.Region)
	}
	return r, nil
}

// receiptText is what a job cost, for people.
func receiptText(r *manifest.Receipt) string {
	return dollarsText(r.USD) + " on S3 in " + r.Region
}

// dollarsText is a price with two digits that count, and at least cents.
func dollarsText(d float64) string {
	decimals := 2
	if d > 0 && d < 0.1 {
		decimals = 1 - int(math.Floor(math.Log10(d)))
	}
	return fmt.Sprintf("$%.*f", decimals, d)
}
