// Command keda asks KEDA's own two Kafka scalers for the lag of a consumer group, partition by partition.
//
//	keda SCALER BOOTSTRAP GROUP PARTITIONS TOPIC...
//
// SCALER is `kafka` or `apache-kafka`, a trigger type of KEDA. For each line on standard input it writes one line of
// JSON: {"lag": {"TOPIC": [LAG, ...]}, "active": {"TOPIC": [true, ...]}}, or {"error": "..."}. It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
)

const (
	patience  = 10 * time.Second
	uncapped  = "1000000000" // a target of lag per replica so high that KEDA's cap by partitions never lowers the lag
	perRecord = 1000         // KEDA's metrics count thousandths
)

var makers = map[string]func(context.Context, *scalersconfig.ScalerConfig) (scalers.Scaler, error){
	"kafka":        scalers.NewKafkaScaler,
	"apache-kafka": scalers.NewApacheKafkaScaler,
}

type answer struct {
	Lag    map[string][]int64 `json:"lag,omitempty"`
	Active map[string][]bool  `json:"active,omitempty"`
	Error  string             `json:"error,omitempty"`
}

func main() {
	if len(os.Args) < 6 || makers[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: keda kafka|apache-kafka BOOTSTRAP GROUP PARTITIONS TOPIC...")
		os.Exit(2)
	}
	asked, err := triggers(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := out.Encode(look(asked)); err != nil {
			os.Exit(1)
		}
	}
}

// triggers makes one scaler for each partition, as a ScaledObject with `partitionLimitation` does.
func triggers(kind, bootstrap, group, count string, topics []string) (map[string][]scalers.Scaler, error) {
	partitions, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	made := map[string][]scalers.Scaler{}
	for _, topic := range topics {
		for number := range partitions {
			scaler, err := makers[kind](context.Background(), trigger(kind, bootstrap, group, topic, number))
			if err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", topic, number, err)
			}
			made[topic] = append(made[topic], scaler)
		}
	}
	return made, nil
}

func trigger(kind, bootstrap, group, topic string, partition int) *scalersconfig.ScalerConfig {
	return &scalersconfig.ScalerConfig{
		TriggerType:       kind,
		GlobalHTTPTimeout: patience,
		TriggerMetadata: map[string]string{
			"bootstrapServers":    bootstrap,
			"consumerGroup":       group,
			"topic":               topic,
			"partitionLimitation": strconv.Itoa(partition),
			"lagThreshold":        uncapped,
			"offsetResetPolicy":   "earliest",
			"version":             "2.8.0",
		},
	}
}

func look(asked map[string][]scalers.Scaler) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found := answer{Lag: map[string][]int64{}, Active: map[string][]bool{}}
	for topic, each := range asked {
		for _, scaler := range each {
			values, active, err := scaler.GetMetricsAndActivity(ctx, "lag")
			if err != nil {
				return answer{Error: fmt.Sprintf("%s: %v", topic, err)}
			}
			found.Lag[topic] = append(found.Lag[topic], values[0].Value.MilliValue()/perRecord)
			found.Active[topic] = append(found.Active[topic], active)
		}
	}
	return found
}
