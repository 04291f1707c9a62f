// An app of the Go SDK, as conformance/inngest/languages.ts drives it. The other languages' programs serve the same.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/inngest/inngest/pkg/enums"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/connect"
	sdkerrors "github.com/inngest/inngestgo/errors"
	"github.com/inngest/inngestgo/group"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"
)

type data map[string]any

var (
	logLock sync.Mutex
	ran     = []string{}
	prefix  = os.Getenv("APP_EVENTS")
)

func note(text string) {
	logLock.Lock()
	defer logLock.Unlock()
	ran = append(ran, text)
}

func number(value any) int {
	n, _ := value.(float64)
	return int(n)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func define(client inngestgo.Client, id string, retries *int, body func(context.Context, inngestgo.Input[data]) (any, error)) {
	defineWith(client, inngestgo.FunctionOpts{ID: id, Retries: retries}, body)
}

func defineWith(client inngestgo.Client, options inngestgo.FunctionOpts, body func(context.Context, inngestgo.Input[data]) (any, error)) {
	must(inngestgo.CreateFunction(client, options, inngestgo.EventTrigger(prefix+options.ID, nil), body))
}

func constant(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		note(text)
		return text, nil
	}
}

func functions(client inngestgo.Client, app string) {
	define(client, "three", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		n := must(step.Run(ctx, "a", func(context.Context) (int, error) {
			note("a")
			return number(input.Event.Data["n"]), nil
		}))
		b, err := step.Run(ctx, "b", func(context.Context) (int, error) {
			note(fmt.Sprintf("b%d", input.InputCtx.Attempt))
			if input.InputCtx.Attempt == 0 {
				return 0, errors.New("once")
			}
			return n + 1, nil
		})
		if err != nil {
			return nil, err
		}
		c := must(step.Run(ctx, "c", func(context.Context) (int, error) {
			note(fmt.Sprintf("c%d", input.InputCtx.Attempt))
			return b * 2, nil
		}))
		return map[string]any{"a": n, "b": b, "c": c, "text": "é😀"}, nil
	})
	define(client, "sleeper", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		step.Sleep(ctx, "nap", 30*24*time.Hour)
		return "awake", nil
	})
	define(client, "waiter", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		match := "event.data.order == async.data.order"
		event, err := step.WaitForEvent[inngestgo.GenericEvent[data]](ctx, "w", step.WaitForEventOpts{
			Event: prefix + "answer", Timeout: time.Hour, If: &match,
		})
		if errors.Is(err, step.ErrEventNotReceived) {
			return nil, nil
		}
		return event.Data["n"], err
	})
	define(client, "parent", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		doubled, err := step.Invoke[int](ctx, "i", step.InvokeOpts{FunctionId: app + "-child", Data: map[string]any{"n": input.Event.Data["n"]}})
		if err != nil {
			return nil, err
		}
		_, err = step.Invoke[int](ctx, "j", step.InvokeOpts{FunctionId: app + "-child", Data: map[string]any{"n": -1}})
		return map[string]any{"doubled": doubled, "error": fmt.Sprint(err)}, nil
	})
	define(client, "child", inngestgo.IntPtr(0), func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		n := number(input.Event.Data["n"])
		if n < 0 {
			return nil, errors.New("negative")
		}
		return n * 2, nil
	})
	define(client, "fan", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		one := func(id string) func(context.Context) (any, error) {
			return func(ctx context.Context) (any, error) { return step.Run(ctx, id, constant(id)) }
		}
		results := group.Parallel(ctx, one("a"), one("b"), one("c"))
		if err := results.AnyError(); err != nil {
			return nil, err
		}
		text := ""
		for _, result := range results {
			text += result.Value.(string)
		}
		return step.Run(ctx, "join", func(context.Context) (string, error) {
			note("join")
			return text + "!", nil
		})
	})
	define(client, "broken", inngestgo.IntPtr(1), func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		note(fmt.Sprintf("try%d", input.InputCtx.Attempt))
		return nil, errors.New("broken for good")
	})
	define(client, "never", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		note("once")
		return nil, sdkerrors.NoRetryError(errors.New("no use"))
	})
	define(client, "sender", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		return step.Send(ctx, "s", inngestgo.GenericEvent[data]{Name: prefix + "child", Data: data{"n": 4}})
	})
	define(client, "slow", nil, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		before := must(step.Run(ctx, "before", constant("before")))
		slow := must(step.Run(ctx, "slow", func(context.Context) (string, error) {
			note("slow")
			time.Sleep(time.Duration(number(input.Event.Data["ms"])) * time.Millisecond)
			return os.Getenv("APP_INSTANCE"), nil
		}))
		after := must(step.Run(ctx, "after", constant("after")))
		return []string{before, slow, after}, nil
	})
	order := inngestgo.StrPtr("event.data.order")
	n := inngestgo.StrPtr("event.data.n")
	defineWith(client, inngestgo.FunctionOpts{
		ID: "cancelled",
		Cancel: []inngestgo.ConfigCancel{{
			Event: prefix + "stop", If: inngestgo.StrPtr("event.data.order == async.data.order"),
		}},
	}, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		_, err := step.WaitForEvent[inngestgo.GenericEvent[data]](ctx, "w", step.WaitForEventOpts{
			Event: prefix + "nothing", Timeout: time.Hour,
		})
		if !errors.Is(err, step.ErrEventNotReceived) {
			return nil, err
		}
		return "waited", nil
	})
	defineWith(client, inngestgo.FunctionOpts{
		ID:          "policies",
		Concurrency: &inngestgo.ConfigConcurrency{Step: []inngestgo.ConfigStepConcurrency{{Limit: 5, Key: n}}},
		Throttle:    &inngestgo.ConfigThrottle{Limit: 10, Period: time.Minute, Burst: 2, Key: n},
		RateLimit:   &inngestgo.ConfigRateLimit{Limit: 100, Period: time.Hour, Key: n},
		Priority:    &inngestgo.ConfigPriority{Run: n},
		Timeouts:    &inngestgo.ConfigTimeouts{Start: inngestgo.Ptr(time.Hour), Finish: inngestgo.Ptr(2 * time.Hour)},
		Singleton:   &inngestgo.ConfigSingleton{Key: n, Mode: enums.SingletonModeSkip},
	}, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		return input.Event.Data["n"], nil
	})
	defineWith(client, inngestgo.FunctionOpts{
		ID:       "debounced",
		Debounce: &inngestgo.ConfigDebounce{Period: 5 * time.Second, Timeout: inngestgo.Ptr(time.Minute), Key: *order},
	}, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		return input.Event.Data["n"], nil
	})
	defineWith(client, inngestgo.FunctionOpts{
		ID:          "batched",
		BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 2, Timeout: 10 * time.Second, Key: order},
	}, func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
		return len(input.Events), nil
	})
	// This SDK has no onFailure: its users write the trigger themselves.
	expression := fmt.Sprintf("event.data.function_id == '%s-broken'", app)
	must(inngestgo.CreateFunction(
		client,
		inngestgo.FunctionOpts{ID: "broken-failure"},
		inngestgo.EventTrigger("inngest/function.failed", &expression),
		func(ctx context.Context, input inngestgo.Input[data]) (any, error) {
			failure, _ := input.Event.Data["error"].(map[string]any)
			note(fmt.Sprintf("told %v", failure["message"]))
			return nil, nil
		},
	))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	app := os.Getenv("APP_ID")
	level := slog.LevelError
	if os.Getenv("APP_VERBOSE") != "" {
		level = slog.LevelDebug
	}
	options := inngestgo.ClientOpts{AppID: app, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	// A connection knows the option only, not the variable.
	if branch := os.Getenv("INNGEST_ENV"); branch != "" {
		options.Env = &branch
	}
	if os.Getenv("APP_CHECKPOINT") != "" {
		options.Checkpoint = &checkpoint.Config{}
	}
	client := must(inngestgo.NewClient(options))
	functions(client, app)

	mux := http.NewServeMux()
	mux.HandleFunc("/log", func(w http.ResponseWriter, r *http.Request) {
		logLock.Lock()
		defer logLock.Unlock()
		_ = json.NewEncoder(w).Encode(ran)
	})
	mux.HandleFunc("/send", func(w http.ResponseWriter, r *http.Request) {
		var event inngestgo.GenericEvent[data]
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id, err := client.Send(r.Context(), event)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode([]string{id})
	})

	var worker connect.WorkerConnection
	if os.Getenv("APP_CONNECT") != "" {
		connectOptions := inngestgo.ConnectOpts{Apps: []inngestgo.Client{client}}
		if name := os.Getenv("APP_INSTANCE"); name != "" {
			connectOptions.InstanceID = &name
		}
		if text := os.Getenv("APP_CONCURRENCY"); text != "" {
			limit := int64(must(strconv.Atoi(text)))
			connectOptions.MaxWorkerConcurrency = &limit
		}
		worker = must(inngestgo.Connect(context.Background(), connectOptions))
		mux.HandleFunc("/state", func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(strings.ToLower(fmt.Sprint(worker.State())))
		})
	} else {
		mux.Handle("/api/inngest", client.Serve())
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() { _ = http.Serve(listener, mux) }()
	<-ctx.Done()
	if worker != nil {
		_ = worker.Close()
	}
}
