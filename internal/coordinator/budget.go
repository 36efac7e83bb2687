package coordinator

import (
	"fmt"

	"github.com/mraws/mraws/internal/estimate"
	"github.com/mraws/mraws/internal/object"
)

// BudgetError means that no further task could be granted within [Options.MaxUSD]. What is
// committed stays, and a coordinator that is started with more resumes the job.
type BudgetError struct {
	Max, Spent float64 // dollars
	Next       float64 // what one more task may cost, and the end of the job
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the job may cost $%.6f: $%.6f are spent, and one more task may cost $%.6f", e.Max, e.Spent, e.Next)
}

// budget is what the job may cost.
type budget struct {
	left float64 // dollars, before attempts that run
	each float64 // what an attempt may cost
	end  float64 // what is kept for the end of the job
	most float64 // that an attempt has cost by its record
}

// noteCost takes note of what an attempt has cost, besides its record, its output and the
// look at them.
func (l *loop) noteCost(t object.Traffic) {
	if l.o.Rates != nil {
		l.budget.most = max(l.budget.most, l.o.Rates.Dollars(t)+l.o.Rates.Dollars(estimate.Commit()))
	}
}

// affordable is how many attempts may be granted; negative is without bound.
func (l *loop) affordable() int {
	if l.o.MaxUSD == 0 || l.o.Rates == nil || l.job == nil {
		return -1
	}
	b, r := &l.budget, l.o.Rates
	if b.end == 0 {
		b.end, b.each = r.Dollars(estimate.End(l.job)), r.Dollars(estimate.Attempt(l.job))
	}
	st := l.core.Stats()
	b.left = l.o.MaxUSD - r.Dollars(l.spent()) - b.end
	each := max(b.each, b.most)
	free := b.left - float64(st.Map.Running+st.Reduce.Running)*each
	if free < each {
		return 0
	}
	return int(min(free/each, 1<<30))
}

// stopUnlessAffordable ends the job once no attempt runs and none can be granted.
func (l *loop) stopUnlessAffordable() {
	if l.o.MaxUSD == 0 || l.affordable() != 0 {
		return
	}
	st := l.core.Stats()
	if st.Map.Running+st.Reduce.Running > 0 || st.Map.Done+st.Reduce.Done == st.Map.Tasks+st.Reduce.Tasks {
		return
	}
	b := l.budget
	l.finishWith(&BudgetError{Max: l.o.MaxUSD, Spent: l.o.MaxUSD - b.left - b.end, Next: max(b.each, b.most) + b.end})
}
