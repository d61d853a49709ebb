// Tools for migrations, each on a directory of its own kind: tools TOOL DIRECTORY, the database in DATABASE_URL.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	_ "github.com/golang-migrate/migrate/v4/source/file"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	tern "github.com/jackc/tern/v2/migrate"
	"github.com/pressly/goose/v3"
	sqlmigrate "github.com/rubenv/sql-migrate"
)

func main() {
	tools := map[string]func(context.Context, string, string) error{
		"golang-migrate": golangMigrate, "goose": gooseUp, "sql-migrate": sqlMigrate, "tern": ternUp,
	}
	run, ok := tools[os.Args[1]]
	if !ok {
		log.Fatalf("%s is none of the tools here", os.Args[1])
	}
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Args[2]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("migrated by", os.Args[1])
}

func golangMigrate(_ context.Context, url, dir string) error {
	m, err := migrate.New("file://"+dir, strings.Replace(url, "postgresql:", "pgx5:", 1))
	if err != nil {
		return err
	}
	return m.Up()
}

func gooseUp(ctx context.Context, url, dir string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(dir))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func sqlMigrate(_ context.Context, url, dir string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = sqlmigrate.Exec(db, "postgres", &sqlmigrate.FileMigrationSource{Dir: dir}, sqlmigrate.Up)
	return err
}

func ternUp(ctx context.Context, url, dir string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	migrator, err := tern.NewMigrator(ctx, conn, "public.schema_version")
	if err != nil {
		return err
	}
	if err := migrator.LoadMigrations(os.DirFS(dir)); err != nil {
		return err
	}
	return migrator.Migrate(ctx)
}
