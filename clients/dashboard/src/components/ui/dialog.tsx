import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/cn";
import { Button } from "./button";

export const Dialog = Radix.Root;
export const DialogTrigger = Radix.Trigger;
export const DialogClose = Radix.Close;

export const overlayClass =
  "fixed inset-0 z-40 bg-shade backdrop-blur-[2px] data-[state=open]:animate-fade-in";
export const panelClass =
  "fixed z-50 flex max-h-[calc(100dvh-2rem)] w-[calc(100vw-2rem)] max-w-lg flex-col overflow-hidden rounded-xl border bg-surface shadow-high data-[state=open]:animate-rise inset-0 m-auto h-fit focus:outline-none";

interface DialogContentProps extends ComponentProps<typeof Radix.Content> {
  title: string;
  description?: ReactNode;
  closable?: boolean;
}

export function DialogContent({
  title,
  description,
  closable = true,
  className,
  children,
  ...props
}: DialogContentProps) {
  return (
    <Radix.Portal>
      <Radix.Overlay className={overlayClass} />
      <Radix.Content
        className={cn(panelClass, className)}
        {...(description ? {} : { "aria-describedby": undefined })}
        {...props}
      >
        <header className="flex items-start gap-4 px-6 pt-6 pb-4">
          <div className="min-w-0 flex-1">
            <Radix.Title className="text-xl">{title}</Radix.Title>
            {description && (
              <Radix.Description className="mt-1.5 text-sm text-ink-soft">{description}</Radix.Description>
            )}
          </div>
          {closable && (
            <Radix.Close asChild>
              <Button look="quiet" size="icon-sm" aria-label="Close" className="-mt-1 -mr-2">
                <X />
              </Button>
            </Radix.Close>
          )}
        </header>
        {children}
      </Radix.Content>
    </Radix.Portal>
  );
}

export function DialogBody({ className, ...props }: ComponentProps<"div">) {
  return (
    <div
      className={cn("flex min-h-0 flex-1 flex-col gap-5 overflow-y-auto px-6 py-2", className)}
      {...props}
    />
  );
}

export function DialogFooter({ className, ...props }: ComponentProps<"div">) {
  return <div className={cn("flex flex-wrap justify-end gap-2 px-6 pt-4 pb-6", className)} {...props} />;
}
