# test/real/conversion.R: what R says of the leads that conversion.sql makes up
# by the same formulas, as CSV: kind, conf_type, day, estimate, low, high.

suppressPackageStartupMessages(library(survival))
options(digits = 17)

i <- 1:2000
age <- (i * 7919) %% 397 + 1
converted <- ifelse(i %% 7 < 3, (i * 104729) %% 211, Inf)
lost <- ifelse(i %% 5 < 2, (i * 1299709) %% 173, Inf)
time <- pmin(converted, lost, age)
outcome <- ifelse(converted <= time, 1, ifelse(lost <= time, 2, 0))

row <- function(kind, conf_type, day, estimate, low, high)
	cat(sprintf("%s,%s,%s,%.17g,%s,%s\n", kind, conf_type, day, estimate,
		ifelse(is.na(low), "", sprintf("%.17g", low)), ifelse(is.na(high), "", sprintf("%.17g", high))), sep = "")

# on the scale arcsin, survfit of several states gives no bounds
for (conf_type in c("plain", "log", "log-log", "logit")) {
	f <- survfit(Surv(time, factor(outcome, 0:2)) ~ 1, conf.type = conf_type)
	row("incidence", conf_type, f$time, f$pstate[, 2], f$lower[, 2], f$upper[, 2])
}
for (conf_type in c("plain", "log", "log-log", "logit", "arcsin")) {
	f <- survfit(Surv(time, outcome == 1) ~ 1, conf.type = conf_type)
	row("km", conf_type, f$time, 1 - f$surv, 1 - f$upper, 1 - f$lower)
}
d <- survdiff(Surv(time, outcome == 1) ~ (i %% 2))
row("logrank", "", 0, d$chisq, NA, pchisq(d$chisq, 1, lower.tail = FALSE))
n <- table(i %% 2)
x <- table((i %% 2)[outcome == 1])
row("score", "", 0, x[2] / n[2] - x[1] / n[1], NA, prop.test(c(x[2], x[1]), c(n[2], n[1]), correct = FALSE)$p.value)
