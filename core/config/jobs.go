package config

import "time"

// Job is what is done on a schedule.
type Job struct {
	Schedule    string            `yaml:"schedule,required" is:"line" doc:"When it is due: five fields as in cron (minute hour day month weekday), six with seconds first, @hourly, @daily, @weekly, @monthly, @yearly, @every 6h (counted from 1970, so that all hosts agree), or one time such as 2027-01-31T12:00:00Z."`
	Timezone    string            `yaml:"timezone" is:"line" default:"UTC" doc:"The time zone of the schedule, such as Europe/Madrid."`
	Start       string            `yaml:"start" is:"line" doc:"It is not due before: a date, which is its midnight in timezone, or a time as RFC 3339, in timezone if it has no offset."`
	End         string            `yaml:"end" is:"line" doc:"It is not due from then on."`
	Plugin      string            `yaml:"plugin" is:"name" doc:"The plugin that runs it, as the job of this name."`
	Function    string            `yaml:"function" is:"name" doc:"The function that is invoked."`
	HTTP        *JobHTTP          `yaml:"http" doc:"The request that is made."`
	Command     string            `yaml:"command" is:"file" doc:"The program that is run. It has 0 as its exit status when it has succeeded."`
	Args        []string          `yaml:"args" is:"text" doc:"Arguments of command."`
	Env         map[string]string `yaml:"env" keys:"env" is:"secret?" doc:"Environment of command. It gets nothing else of edge's own."`
	Input       string            `yaml:"input" is:"text" doc:"JSON that a function is invoked with. Default: a scheduled event as EventBridge sends it."`
	Missed      string            `yaml:"missed" is:"skip|once|all" default:"once" doc:"What is done about due times at which nobody could run it: nothing, one run for all of them, or one for each of the latest missed_limit."`
	MissedLimit int               `yaml:"missed_limit" is:"1..1000" default:"10" doc:"How many runs are made up for at most."`
	Grace       time.Duration     `yaml:"grace" is:"positive" default:"1m" doc:"How much later than it is due it may start without having been missed."`
	Overlap     string            `yaml:"overlap" is:"skip|queue|replace" default:"skip" doc:"What is done when it is due and the run before has not ended: leave it out, wait for that, or stop that."`
	Jitter      time.Duration     `yaml:"jitter" doc:"Starts it later by up to that much: always the same for the same due time."`
	Timeout     time.Duration     `yaml:"timeout" is:"positive" default:"10m" doc:"How long a run may take, up to 1d; a plugin's or function's 15m."`
	Retries     int               `yaml:"retries" is:"0..100" default:"0" doc:"How often a run that failed is tried again."`
	Backoff     time.Duration     `yaml:"backoff" is:"positive" default:"10s" doc:"The pause before the first of them; it doubles each time, up to an hour."`
	Expect      time.Duration     `yaml:"expect" is:"positive" doc:"A job that has not succeeded for longer is a matter for a person."`
	Ping        string            `yaml:"ping" is:"web" doc:"An outside watcher that is told of each start, success and failure, in the way of healthchecks.io."`
	Retention   time.Duration     `yaml:"retention" is:"positive" default:"30d" doc:"How long its history is kept."`
}

// JobHTTP is the request that a job makes. It has succeeded with a status from 200 to 299.
type JobHTTP struct {
	URL     string            `yaml:"url,required" is:"web" doc:"Where. A redirect to another host is not followed."`
	Method  string            `yaml:"method" is:"method" default:"POST" doc:"The method."`
	Headers map[string]string `yaml:"headers" keys:"field" is:"secret?" doc:"Header fields."`
	Body    string            `yaml:"body" is:"text" doc:"The body."`
}
