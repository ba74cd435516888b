import { AlertDialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button";
import { overlayClass, panelClass } from "./dialog";

interface ConfirmProps {
  title: string;
  description: ReactNode;
  confirm: string;
  onConfirm: () => void;
  children: ReactNode;
}

/** Ask before something that cannot be undone. `children` is the button that opens the question. */
export function Confirm({ title, description, confirm, onConfirm, children }: ConfirmProps) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>{children}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Overlay className={overlayClass} />
        <Radix.Content className={`${panelClass} max-w-md p-6`}>
          <Radix.Title className="text-xl">{title}</Radix.Title>
          <Radix.Description className="mt-2 text-sm text-ink-soft">{description}</Radix.Description>
          <div className="mt-6 flex flex-wrap justify-end gap-2">
            <Radix.Cancel asChild>
              <Button look="outline">Cancel</Button>
            </Radix.Cancel>
            <Radix.Action asChild>
              <Button look="danger" onClick={onConfirm}>
                {confirm}
              </Button>
            </Radix.Action>
          </div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
