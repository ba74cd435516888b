import type { NewPublishableKey } from "@/api/wire";
import { Snippet } from "@/components/snippet";
import { Button } from "@/components/ui/button";
import { Dialog, DialogBody, DialogClose, DialogContent, DialogFooter } from "@/components/ui/dialog";
import { EmbedGuide } from "./embed-guide";

/** A new key, whole, this once. A click beside the dialog does not close it: the key could not be had again. */
export function RevealKeyDialog({ made, onClose }: { made: NewPublishableKey | null; onClose: () => void }) {
  return (
    <Dialog open={made !== null} onOpenChange={(open) => !open && onClose()}>
      <DialogContent
        title="Copy your key now"
        description="It is not kept here in full, so it cannot be shown again."
        className="max-w-2xl"
        onInteractOutside={(event) => event.preventDefault()}
        closable={false}
      >
        <DialogBody>
          {made && (
            <>
              <Snippet code={made.key} label="Copy the key" />
              <EmbedGuide apiKey={made.key} heading={false} />
            </>
          )}
        </DialogBody>
        <DialogFooter>
          <DialogClose asChild>
            <Button>I have copied it</Button>
          </DialogClose>
        </DialogFooter>
      </DialogContent>
    </Dialog>
  );
}
