import { KeyRound, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useDeleteKey, usePublishableKeys, useUpdateKey } from "@/api/keys";
import type { NewPublishableKey, PublishableKey } from "@/api/wire";
import { Code } from "@/components/code";
import { Empty, LoadFailed, Page } from "@/components/page";
import { Confirm } from "@/components/ui/alert-dialog";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Skeleton } from "@/components/ui/skeleton";
import { Switch } from "@/components/ui/switch";
import { toast } from "@/components/ui/toast";
import { useNow } from "@/components/use-now";
import { ago, moment } from "@/format/time";
import { EmbedGuide } from "./embed-guide";
import { NewKeyDialog } from "./new-key-dialog";
import { RevealKeyDialog } from "./reveal-key-dialog";

export function KeysPage() {
  const keys = usePublishableKeys();
  const [made, setMade] = useState<NewPublishableKey | null>(null);
  const newKey = (
    <NewKeyDialog onMade={setMade}>
      <Button>
        <Plus /> New key
      </Button>
    </NewKeyDialog>
  );
  return (
    <Page
      title="Keys"
      lead="A publishable key lets a web page of yours start calls with an agent, and nothing else."
      actions={newKey}
    >
      {keys.isError ? (
        <LoadFailed error={keys.error} retry={() => void keys.refetch()} />
      ) : keys.isPending ? (
        <Skeleton className="h-48 rounded-xl" />
      ) : keys.data.length === 0 ? (
        <Empty icon={KeyRound} title="No publishable keys yet" action={newKey}>
          Make one, name the sites that may use it, and paste two lines into a page.
        </Empty>
      ) : (
        <Card className="divide-y">
          {keys.data.map((key) => (
            <KeyRow key={key.id} row={key} />
          ))}
        </Card>
      )}
      <EmbedGuide />
      <section className="mt-10 max-w-2xl">
        <h2 className="text-lg">Secret keys</h2>
        <p className="mt-2 text-ink-soft">
          For your own back end. They open everything, so they are never shown in a browser: make one on the
          server with <Code>oneinbox keys create --name NAME</Code>.
        </p>
      </section>
      <RevealKeyDialog made={made} onClose={() => setMade(null)} />
    </Page>
  );
}

function KeyRow({ row }: { row: PublishableKey }) {
  const now = useNow(30_000);
  const update = useUpdateKey();
  const remove = useDeleteKey();
  const shout = (error: Error) => toast(error.message, "danger");
  const active = update.isPending ? (update.variables.is_active ?? row.is_active) : row.is_active;
  return (
    <div className="flex flex-wrap items-center gap-x-5 gap-y-3 px-5 py-4 sm:px-6">
      <div className="min-w-0 flex-1 basis-56">
        <p className="flex flex-wrap items-center gap-2 font-medium">
          {row.name} {!active && <Badge tone="notice">paused</Badge>}
        </p>
        <p className="mt-0.5 truncate font-mono text-ink-faint text-xs">
          {row.key_prefix}…{row.last4 ?? ""}
        </p>
      </div>
      <ul aria-label="Allowed origins" className="flex min-w-0 flex-1 basis-64 flex-wrap gap-1.5">
        {row.allowed_origins.map((origin) => (
          <li key={origin} className="min-w-0">
            <Badge tone={origin === "*" ? "notice" : "plain"} className="max-w-full font-mono font-normal">
              <span className="truncate">{origin === "*" ? "* any site" : origin}</span>
            </Badge>
          </li>
        ))}
      </ul>
      <p className="w-32 text-[13px] text-ink-faint" title={moment(row.last_used_at ?? row.created_at)}>
        {row.last_used_at ? `used ${ago(row.last_used_at, now)}` : "never used"}
      </p>
      <div className="ml-auto flex items-center gap-3">
        <Switch
          checked={active}
          aria-label={`${row.name} may be used`}
          onCheckedChange={(on) => update.mutate({ id: row.id, is_active: on }, { onError: shout })}
        />
        <Confirm
          title={`Delete ${row.name}?`}
          description="Pages that use this key can start no more calls, at once and for good. To stop them for a while, pause it instead."
          confirm="Delete key"
          onConfirm={() => remove.mutate(row.id, { onError: shout })}
        >
          <Button look="danger-quiet" size="icon-sm" aria-label={`Delete ${row.name}`}>
            <Trash2 />
          </Button>
        </Confirm>
      </div>
    </div>
  );
}
