// Each test begins with the rows of seeds/, whatever the one before it did, in one process and with
// its connections open. `go test` does not know that: it runs these one after the other on what is there.
package postgres_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/bookstore/store"
	"example.com/bookstore/store/postgres"
	"example.com/bookstore/store/storetest"
)

const algorithms = "9780262033848" // of which the seeds have two copies

// url is that of pytest.ini's gotest_postgres_env.
func url(t *testing.T) string {
	t.Helper()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		t.Skip("DATABASE_URL names no database: pytest --gotest brings one")
	}
	return url
}

func open(t *testing.T) store.Store {
	t.Helper()
	shop, err := postgres.Open(context.Background(), url(t))
	if err != nil {
		t.Fatal(err)
	}
	return shop
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		connection, err := pgx.Connect(context.Background(), url(t))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(context.Background())
		if _, err := connection.Exec(context.Background(), "TRUNCATE books, orders CASCADE"); err != nil {
			t.Fatal(err)
		}
		return open(t)
	})
}

func TestSellsTheLastCopies(t *testing.T) {
	shop := open(t)
	defer shop.Close()
	order, err := shop.PlaceOrder(context.Background(), []store.Line{{ISBN: algorithms, Quantity: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if order.ID != 1 {
		t.Errorf("order %d, want the first one", order.ID)
	}
}

func TestSellsThemAgain(t *testing.T) {
	TestSellsTheLastCopies(t)
}

func TestSurvivesRestart(t *testing.T) {
	shop := open(t)
	placed, err := shop.PlaceOrder(context.Background(), []store.Line{{ISBN: algorithms, Quantity: 1}})
	if err != nil {
		t.Fatal(err)
	}
	shop.Close()

	shop = open(t)
	defer shop.Close()
	found, err := shop.Order(context.Background(), placed.ID)
	if err != nil || found.Quote != placed.Quote || !found.Placed.Equal(placed.Placed) {
		t.Errorf("Order = %+v, %v; want %+v", found, err, placed)
	}
}
