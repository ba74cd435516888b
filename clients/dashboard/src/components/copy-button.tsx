import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { Button, type ButtonProps } from "./ui/button";
import { toast } from "./ui/toast";

interface CopyButtonProps extends Omit<ButtonProps, "onClick" | "children"> {
  text: string;
  label: string;
  /** Shown beside the icon; without it the button is an icon alone. */
  caption?: string;
}

/** Copy `text`, and say that it was done. */
export function CopyButton({ text, label, caption, ...props }: CopyButtonProps) {
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      // No clipboard on an insecure page, or it was refused.
      toast("This browser does not let the page copy: select the text instead.", "danger");
    }
  }

  return (
    <Button
      look="quiet"
      size={caption ? "sm" : "icon-sm"}
      aria-label={copied ? "Copied" : label}
      onClick={() => void copy()}
      {...props}
    >
      {copied ? <Check className="text-accent" /> : <Copy />}
      {caption && (copied ? "Copied" : caption)}
    </Button>
  );
}
